"""`nm-bus init` makes a ledger once, harms nothing, and says what differs."""

from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from nm_agents.folder import own_folder
from nm_agents.supernode.ledger.creation import begin, begin_again
from nm_bus.errors import ConfigError
from nm_bus.project import FirstSupernode, Project
from nm_bus.settings import Broker, SupernodeSettings, Tls
from nm_bus.storage.ledger import NEWCOMER, open_ledger

NODE, OTHER = "sn1.example.org", "sn2.example.org"
SOURCE = Path("project.toml")
PROJECT = Project("test", (FirstSupernode(NODE), FirstSupernode(OTHER)), ("admin.example.org",))


@pytest.fixture
def settings(tmp_path: Path) -> SupernodeSettings:
    tls = Tls(Path("ca"), Path("certificate"), Path("key"))
    return SupernodeSettings("test", NODE, tmp_path / "state", Broker(NODE), tls)


def test_a_ledger_begins_as_the_project_file_says(settings: SupernodeSettings) -> None:
    made = begin(settings, PROJECT, SOURCE)
    assert made.new
    with closing(open_ledger(made.path)) as store:
        assert store.identity.voter == f"{NODE}#genesis"
        assert store.position.height == 0
        assert f"supernode/{OTHER}" in {entry.key for entry in store.entries()}


def test_a_second_time_does_nothing_and_says_so(settings: SupernodeSettings) -> None:
    made = begin(settings, PROJECT, SOURCE)
    before = made.path.read_bytes()
    assert not begin(settings, PROJECT, SOURCE).new
    assert made.path.read_bytes() == before


def test_a_file_that_differs_does_no_harm_and_is_told_what_differs(
    settings: SupernodeSettings,
) -> None:
    before = begin(settings, PROJECT, SOURCE).path.read_bytes()
    differs = structs.replace(
        PROJECT, administrators=("eve.example.org",), supernodes=(FirstSupernode(NODE, weight=3),)
    )
    with pytest.raises(ConfigError) as refused:
        begin(settings, differs, SOURCE)
    text = str(refused.value)
    assert "administrator eve.example.org was not there, now there" in text
    assert "administrator admin.example.org was there, now not there" in text
    assert f"supernode {OTHER}" in text
    assert "weight 1" in text
    assert "weight 3" in text
    assert (settings.folder / "ledger.db").read_bytes() == before


@pytest.mark.parametrize(
    ("project", "said"),
    [
        (structs.replace(PROJECT, project="other"), "for the project other"),
        (structs.replace(PROJECT, supernodes=(FirstSupernode(OTHER),)), f"does not name {NODE}"),
    ],
)
def test_another_ones_project_file_is_refused(
    settings: SupernodeSettings, project: Project, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        begin(settings, project, SOURCE)
    assert not settings.folder.exists()


def test_a_folder_in_use_is_left_alone(settings: SupernodeSettings) -> None:
    begin(settings, PROJECT, SOURCE)
    with own_folder(settings.folder):
        with pytest.raises(ConfigError, match="runs on this folder"):
            begin(settings, PROJECT, SOURCE)
        with pytest.raises(ConfigError, match="runs on this folder"):
            begin_again(settings)


def test_replaced_it_is_another_one_and_the_earlier_file_is_kept(
    settings: SupernodeSettings,
) -> None:
    before = begin(settings, PROJECT, SOURCE).path.read_bytes()
    made = begin_again(settings)
    with closing(open_ledger(made.path)) as store:
        store.started("nonce")
    again = begin_again(settings)
    assert made.incarnation != again.incarnation
    assert made.aside is not None
    assert made.aside.read_bytes() == before
    with closing(open_ledger(again.path)) as store:
        assert store.identity.voter == f"{NODE}#{again.incarnation}"
        assert store.identity.epoch == NEWCOMER
        assert store.position.height == -1


def test_replaced_twice_before_it_started_it_keeps_who_it_is(
    settings: SupernodeSettings,
) -> None:
    made, again = begin_again(settings), begin_again(settings)
    assert (again.incarnation, again.new) == (made.incarnation, False)


def test_it_begins_again_from_the_right_project_file_only_if_it_had_another_one(
    settings: SupernodeSettings,
) -> None:
    wrong = structs.replace(PROJECT, administrators=("eve.example.org",))
    first = begin(settings, wrong, SOURCE)
    again = begin(settings, PROJECT, SOURCE, replace=True)
    assert (again.new, again.incarnation) == (True, "genesis")
    assert again.beginning not in ("", first.beginning)
    assert again.aside is not None
    assert not begin(settings, PROJECT, SOURCE, replace=True).new
