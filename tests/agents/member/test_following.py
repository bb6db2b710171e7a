"""A member that follows the ledger: its files, its state, its reports, in good times and bad."""

import base64
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nm_agents.member import feeds, following
from nm_bus.core.nagios import PluginVerdict
from nm_bus.grants import grant
from nm_bus.identity.role import Role
from nm_bus.messages import Answer, CheckStatus, FollowedFeed, Heartbeat, Hello, Running, Update
from nm_bus.storage.spool import Spool
from nm_bus.transport.memory import MemoryTransport
from nm_lab.samples.history import History

from .conftest import Federation, Site

MakeSite = Callable[..., Site]
KEY = "config/thredds/a.xml"
OK = PluginVerdict(CheckStatus.OK, "")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return tmp_path / "docs"


@pytest.fixture
def documents(docs: Path) -> dict[str, Any]:
    return {"component": "thredds", "folder": str(docs)}


@pytest.fixture
def site(make_site: MakeSite, documents: dict[str, Any]) -> Site:
    return make_site(documents=[documents])


def last(federation: Federation) -> Running:
    return federation.messages(Running)[-1]


def status(site: Site) -> dict[str, Any]:
    told = json.loads((site.settings.folder / "status.json").read_text())["ledger"]
    assert isinstance(told, dict)
    return told


def live(federation: Federation, key: str = KEY, content: str = "", **value: Any) -> None:
    federation.tell(federation.history.set(key, content, **value))
    federation.clock.advance(0.5)


# --- good times


def test_a_document_that_is_there_already_is_fetched(
    site: Site, federation: Federation, docs: Path
) -> None:
    federation.history.set(KEY, "one")
    federation.history.set("config/solr/core.xml", "not ours")
    site.start()
    federation.clock.advance(3.0)
    assert [path.name for path in docs.iterdir()] == ["a.xml"]
    assert (docs / "a.xml").read_text() == "one"
    told = last(federation)
    head = federation.history.updates[0].place.head
    assert told.feeds == (FollowedFeed("config/thredds", 1, 1, head),)
    assert told.documents == {KEY: 1}
    assert told.troubles == {}
    assert status(site)["state"] == "up to date"


def test_an_update_is_written_at_once_and_told_within_a_second(
    site: Site, federation: Federation, docs: Path
) -> None:
    site.start()
    federation.clock.advance(5.0)
    live(federation, content="one")
    assert (docs / "a.xml").read_text() == "one"
    federation.clock.advance(1.0)
    assert last(federation).documents == {KEY: 1}
    syncs = federation.syncs
    live(federation, content="two")
    assert (docs / ".a.xml.previous").read_text() == "one"
    assert federation.syncs == syncs


def test_bytes_arrive_as_they_were(site: Site, federation: Federation, docs: Path) -> None:
    site.start()
    federation.clock.advance(5.0)
    content = bytes(range(256))
    live(federation, content=base64.b64encode(content).decode(), encoding="base64")
    assert (docs / "a.xml").read_bytes() == content


def test_a_deleted_document_is_removed_and_kept_as_the_version_before(
    site: Site, federation: Federation, docs: Path
) -> None:
    site.start()
    federation.clock.advance(5.0)
    live(federation, content="one")
    federation.tell(federation.history.delete(KEY))
    federation.clock.advance(2.0)
    assert [path.name for path in docs.iterdir()] == [".a.xml.previous"]
    assert last(federation).documents == {}


def test_names_choose_among_a_components_documents(
    make_site: MakeSite, federation: Federation, documents: dict[str, Any], docs: Path
) -> None:
    make_site(documents=[documents | {"names": ["*.xml", "b/*"]}]).start()
    federation.clock.advance(5.0)
    for name in ("a.xml", "a.txt", "b/c.txt"):
        live(federation, f"config/thredds/{name}", "x")
    assert {p.name for p in docs.rglob("*") if p.is_file()} == {"a.xml", "c.txt"}


def test_a_member_without_documents_follows_nothing_and_costs_its_supernode_nothing(
    make_site: MakeSite, federation: Federation, tmp_path: Path
) -> None:
    site = make_site()
    site.start()
    federation.clock.advance(5.0)
    live(federation, content="one")
    federation.clock.advance(600.0)
    assert (last(federation).feeds, last(federation).documents) == ((), {})
    assert federation.messages(Hello)[0].feeds == ()
    assert federation.syncs == 0
    assert status(site)["state"] == "keeps no documents"
    assert not (tmp_path / "docs").exists()


def test_a_member_hears_of_its_components_alone(
    make_site: MakeSite, federation: Federation, documents: dict[str, Any], tmp_path: Path
) -> None:
    solr = documents | {"component": "solr", "folder": str(tmp_path / "solr")}
    site = make_site(documents=[documents, solr])
    site.start()
    federation.clock.advance(5.0)
    assert federation.messages(Hello)[-1].feeds == ("config/solr", "config/thredds")
    member, heard = site.lives[-1][0], list[str]()
    taken = member._following.took

    def took(update: Update) -> None:
        heard.append(update.change.key)
        taken(update)

    member._inbox._updated = took
    for number in range(1_000):
        federation.tell(federation.history.set(f"member/n{number}.example.org"))
    live(federation, content="one")
    live(federation, "config/solr/core.xml", "two")
    live(federation, "config/other/a", "three")
    assert heard == [KEY, "config/solr/core.xml"]
    assert (tmp_path / "solr" / "core.xml").read_text() == "two"
    federation.clock.advance(5.0)
    assert [(f.feed, f.number) for f in last(federation).feeds] == [
        ("config/solr", 1),
        ("config/thredds", 1),
    ]
    assert _behind(member._status()) == 0


def test_a_component_of_which_nothing_was_ever_published_is_up_to_date(
    site: Site, federation: Federation
) -> None:
    site.start()
    live(federation, "config/other/a", "x")
    federation.clock.advance(5.0)
    assert status(site)["state"] == "up to date"
    assert last(federation).feeds == (FollowedFeed("config/thredds", 1, 0, "0" * 64),)
    assert last(federation).troubles == {}
    syncs = federation.syncs
    federation.clock.advance(600.0)
    assert federation.syncs - syncs <= 600.0 / (following.LOOK_EACH / 2) + 1


def test_a_snapshot_of_one_component_takes_no_document_of_another(
    make_site: MakeSite, federation: Federation, documents: dict[str, Any], tmp_path: Path
) -> None:
    solr = documents | {"component": "solr", "folder": str(tmp_path / "solr")}
    federation.history.set(KEY, "one")
    federation.history.set("config/solr/core.xml", "two")
    site = make_site(documents=[documents, solr])
    member = site.start()
    federation.clock.advance(5.0)
    member._following._feeds["config/solr"].reload()
    federation.clock.advance(5.0)
    assert last(federation).documents == {KEY: 1, "config/solr/core.xml": 2}


def test_many_components_are_asked_for_one_after_the_other(
    make_site: MakeSite, federation: Federation, documents: dict[str, Any], tmp_path: Path
) -> None:
    names = [f"c{number:02}" for number in range(64)]
    site = make_site(
        documents=[documents | {"component": n, "folder": str(tmp_path / n)} for n in names]
    )
    federation.height = 0
    site.start()
    federation.clock.advance(20.0)
    assert status(site)["state"] == "up to date"
    asked = federation.syncs
    federation.clock.advance(following.LOOK_EACH)
    assert asked + 64 <= federation.syncs <= asked + 128


def test_a_busy_ledger_is_not_reported_at_each_revision(site: Site, federation: Federation) -> None:
    site.start()
    federation.clock.advance(5.0)
    federation.heard.clear()
    for number in range(60):
        live(federation, f"lock/{number}", "x")
    assert len(federation.messages(Running)) <= 1
    federation.heard.clear()
    for number in range(60):
        live(federation, content=str(number))
    assert 15 <= len(federation.messages(Running)) <= 31


def test_it_is_reported_every_ten_minutes(site: Site, federation: Federation) -> None:
    site.start()
    federation.clock.advance(60.0)
    federation.heard.clear()
    federation.clock.advance(1800.0)
    assert len(federation.messages(Running)) == 3


# --- hooks


@pytest.fixture
def hooked(make_site: MakeSite, documents: dict[str, Any]) -> Site:
    return make_site(documents=[documents | {"hook": ["reload"]}])


def test_a_hook_runs_once_after_changes_that_come_together(
    hooked: Site, federation: Federation
) -> None:
    hooked.plugins.verdicts["reload"] = OK
    for name in "abc":
        federation.history.set(f"config/thredds/{name}", name)
    hooked.start()
    federation.clock.advance(10.0)
    assert [told["NM_BUS_DOCUMENTS"] for told in hooked.plugins.hooks] == ["a b c"]
    live(federation, "config/thredds/a", "a")
    federation.clock.advance(5.0)
    assert len(hooked.plugins.hooks) == 1, "nothing changed"


def test_a_hook_that_fails_is_told_until_a_later_version(
    hooked: Site, federation: Federation
) -> None:
    hooked.plugins.verdicts["reload"] = PluginVerdict(CheckStatus.CRITICAL, "exit code 1: no")
    hooked.start()
    live(federation, content="one")
    federation.clock.advance(5.0)
    assert last(federation).troubles == {KEY: "the hook failed: exit code 1: no"}
    assert last(federation).documents == {KEY: 1}
    hooked.plugins.verdicts["reload"] = OK
    live(federation, content="two")
    federation.clock.advance(5.0)
    assert last(federation).troubles == {}


def test_a_hook_that_had_not_ended_runs_in_the_next_life(
    hooked: Site, federation: Federation
) -> None:
    hooked.start()
    live(federation, content="one")
    federation.clock.advance(5.0)
    hooked.kill()
    hooked.plugins.verdicts["reload"] = OK
    hooked.start()
    federation.clock.advance(5.0)
    assert [told["NM_BUS_REVISION"] for told in hooked.plugins.hooks] == ["1", "1"]
    hooked.kill()
    hooked.start()
    federation.clock.advance(5.0)
    assert len(hooked.plugins.hooks) == 2


def test_a_hook_that_ends_the_agent_each_time_is_not_run_for_ever(
    hooked: Site, federation: Federation
) -> None:
    hooked.start()
    live(federation, content="one")
    for _ in range(5):
        federation.clock.advance(5.0)
        hooked.kill()
        hooked.start()
    federation.clock.advance(5.0)
    assert len(hooked.plugins.hooks) == 2
    assert "ended 2 times while the hook of revision 1 ran" in last(federation).troubles[KEY]

    hooked.plugins.verdicts["reload"] = OK
    live(federation, content="two")
    federation.clock.advance(5.0)
    assert len(hooked.plugins.hooks) == 3
    assert last(federation).troubles == {}


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_last_update_that_was_lost_is_found_within_a_minute(
    site: Site, federation: Federation, docs: Path, chance: float
) -> None:
    site.chance = chance
    site.start()
    live(federation, content="one")
    # whenever it is lost, and though each answer takes as long as it may
    federation.slow = feeds.ANSWER_WITHIN - 1.0
    for number in range(10):
        federation.clock.advance(7.0 * number)
        federation.history.set(KEY, str(number))  # agreed, and never heard of
        federation.clock.advance(60.0)
        assert (docs / "a.xml").read_text() == str(number)


# --- away, behind, astray


def test_a_member_that_was_away_catches_up_and_shows_how_far_it_is(
    site: Site, federation: Federation, docs: Path
) -> None:
    site.start()
    federation.clock.advance(5.0)
    site.kill()
    for number in range(300):
        key = KEY if number == 250 else f"config/thredds/{number}"
        federation.history.set(key, str(number))
    member = site.start()
    federation.clock.run(lambda: _behind(member._status()) > 0)
    told = member._status()["ledger"]
    assert isinstance(told, dict)
    assert told["state"] == f"behind by {told['behind']}"
    assert told["behind"] > 290
    federation.clock.advance(5.0)
    assert (docs / "a.xml").read_text() == "250"
    assert status(site)["state"] == "up to date"
    assert [feed.number for feed in last(federation).feeds] == [300]


def _behind(told: dict[str, Any]) -> int:
    return int(told["ledger"]["behind"])


def test_a_lost_update_is_asked_for(site: Site, federation: Federation, docs: Path) -> None:
    site.start()
    federation.clock.advance(5.0)
    federation.history.set(KEY, "lost on the way")
    live(federation, "config/thredds/b.xml", "x")
    federation.clock.advance(1.0)
    assert (docs / "a.xml").read_text() == "lost on the way"


def test_a_supernode_that_lags_is_asked_again_and_never_rolls_it_back(
    site: Site, federation: Federation, docs: Path
) -> None:
    site.start()
    federation.clock.advance(5.0)
    live(federation, content="one")
    live(federation, content="two")
    site.kill()
    federation.height = 1
    site.start()
    federation.clock.advance(120.0)
    assert (docs / "a.xml").read_text() == "two"
    assert "the supernode is behind" in status(site)["state"]
    asked = federation.syncs
    federation.clock.advance(3600.0)
    assert 60 <= federation.syncs - asked <= 130
    federation.height = None
    federation.clock.advance(120.0)
    assert status(site)["state"] == "up to date"


def test_a_supernode_without_a_ledger_is_told_in_its_own_words(
    site: Site, federation: Federation
) -> None:
    federation.refusal = Answer("s1", False, "unavailable", "no ledger here: run nm-bus init")
    site.start()
    federation.clock.advance(60.0)
    assert status(site)["state"].endswith("no ledger here: run nm-bus init")


def test_another_history_raises_an_alarm_and_is_mended_by_a_snapshot(
    site: Site, federation: Federation, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "ALARM_TOLD", 60.0)
    site.start()
    federation.clock.advance(5.0)
    live(federation, content="one")
    live(federation, "config/thredds/b.xml", "only in the lost epoch")
    site.kill()
    federation.history = History(epoch=2)
    federation.history.set(KEY, "new")
    site.start()
    federation.clock.advance(10.0)
    assert {p.name for p in docs.iterdir() if p.name[0] != "."} == {"a.xml"}
    assert (docs / "a.xml").read_text() == "new"
    told = last(federation)
    assert [(feed.epoch, feed.number) for feed in told.feeds] == [(2, 1)]
    assert "is not in the supernode's history" in told.troubles["ledger"]
    federation.clock.advance(60.0)
    assert last(federation).troubles == {}


def test_an_update_from_anybody_else_is_ignored(
    site: Site, federation: Federation, docs: Path
) -> None:
    site.start()
    federation.clock.advance(5.0)
    federation.broker.admit(grant(Role.SUPERNODE, "rogue.example.org"))
    rogue = MemoryTransport(
        federation.broker, federation.clock, user="rogue.example.org", random=lambda: 0.5
    )
    rogue.start()
    federation.clock.advance(1.0)
    federation.tell(History().set(KEY, "rogue"), by=rogue)
    federation.clock.advance(2.0)
    assert not docs.exists()


def test_a_clock_that_is_a_year_off_changes_nothing(
    site: Site, federation: Federation, docs: Path
) -> None:
    member = site.start()
    _, transport, _ = site.lives[-1]
    now = transport.now
    transport.now = lambda: now() + 366 * 86_400.0  # type: ignore[method-assign]
    live(federation, content="one")
    federation.clock.advance(10.0)
    assert (docs / "a.xml").read_text() == "one"
    assert _behind(member._status()) == 0


# --- troubles


def test_what_is_told_of_many_documents_that_fail_fits_into_one_message(
    make_site: MakeSite, federation: Federation, documents: dict[str, Any]
) -> None:
    site = make_site(documents=[documents | {"hook": ["reload"]}])
    site.plugins.verdicts["reload"] = PluginVerdict(CheckStatus.CRITICAL, "ä" * 256)
    for n in range(1000):
        federation.history.set(f"config/thredds/{n:04}.xml", "one")
    site.start()
    federation.clock.advance(30.0)
    told = last(federation)
    assert len(told.documents) == 1000
    assert 100 < len(told.troubles) < 1000


def test_content_that_is_no_base64_is_a_trouble_until_a_good_version(
    site: Site, federation: Federation, docs: Path
) -> None:
    site.start()
    live(federation, content="one")
    live(federation, content="%%%", encoding="base64")
    federation.clock.advance(2.0)
    assert (docs / "a.xml").read_text() == "one"
    assert last(federation).documents == {KEY: 1}
    assert last(federation).troubles == {KEY: "revision 2: its content is no base64"}
    live(federation, content="one")
    federation.clock.advance(2.0)
    assert last(federation).troubles == {}
    assert last(federation).documents == {KEY: 3}


def test_a_trouble_is_a_check_that_warns_so_that_an_alert_is_raised(
    site: Site, federation: Federation
) -> None:
    site.start()
    live(federation, content="one")
    federation.clock.advance(6.0)
    assert federation.messages(Heartbeat)[-1].checks == ()
    live(federation, content="%%%", encoding="base64")
    live(federation, "config/thredds/b", content="%%%", encoding="base64")
    (check,) = federation.messages(Heartbeat)[-1].checks
    assert (check.name, check.status) == ("agent.ledger", "warning")
    assert check.output == f"{KEY}: revision 2: its content is no base64 (and 1 more)"
    live(federation, content="two")
    live(federation, "config/thredds/b", content="two")
    (check,) = federation.messages(Heartbeat)[-1].checks
    assert (check.status, check.output) == ("ok", "")


@pytest.mark.parametrize("key", ["config/thredds/../../out", "config/thredds//etc/out"])
def test_a_name_that_leads_out_of_the_folder_is_a_trouble(
    site: Site, federation: Federation, docs: Path, key: str
) -> None:
    site.start()
    live(federation, key, "out")
    federation.clock.advance(2.0)
    assert "is no document's name" in last(federation).troubles[key]
    assert not docs.exists()


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Makes the disk full, or not."""
    fsync = os.fsync

    def no_room(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    yield lambda is_full: monkeypatch.setattr(os, "fsync", no_room if is_full else fsync)
    monkeypatch.setattr(os, "fsync", fsync)


def test_a_full_disk_is_told_and_what_could_not_be_written_is_written_later(
    site: Site, federation: Federation, docs: Path, full: Callable[[bool], None]
) -> None:
    site.start()
    live(federation, content="one")
    federation.clock.advance(5.0)
    full(True)
    live(federation, content="two")
    federation.clock.advance(5.0)
    assert (docs / "a.xml").read_text() == "one"
    troubles = last(federation).troubles
    assert troubles[KEY] == (
        f"revision 2: {docs}/a.xml cannot be written: No space left on device; "
        "see its folder's owner, and its disk"
    )
    assert "following.json cannot be written: No space left" in troubles["ledger"]
    assert last(federation).documents == {KEY: 1}
    federation.clock.advance(3600.0)
    assert federation.syncs < 60 + 3600 / (following.LOOK_EACH / 2)
    full(False)
    federation.clock.advance(700.0)
    assert (docs / "a.xml").read_text() == "two"
    assert last(federation).troubles == {}
    assert last(federation).documents == {KEY: 2}


def test_what_a_full_disk_did_not_take_is_not_lost_with_the_agent(
    site: Site, federation: Federation, docs: Path, full: Callable[[bool], None]
) -> None:
    site.start()
    live(federation, content="one")
    federation.clock.advance(5.0)
    (docs / "a.xml").unlink()
    (docs / "a.xml").mkdir()
    live(federation, content="two")
    federation.clock.advance(5.0)
    site.kill()
    (docs / "a.xml").rmdir()
    site.start()
    federation.clock.advance(5.0)
    assert (docs / "a.xml").read_text() == "two"
    assert last(federation).troubles == {}


# --- from life to life


def test_a_new_life_goes_on_where_the_last_one_was(
    site: Site, federation: Federation, docs: Path
) -> None:
    site.start()
    live(federation, content="one")
    live(federation, content="two")
    federation.clock.advance(5.0)
    site.kill()
    federation.syncs = 0
    site.start()
    federation.clock.advance(5.0)
    assert federation.syncs == 1
    assert (docs / ".a.xml.previous").read_text() == "one"


def test_a_document_that_was_taken_away_is_fetched_again_in_the_next_life(
    site: Site, federation: Federation, docs: Path
) -> None:
    site.start()
    live(federation, content="one")
    federation.clock.advance(5.0)
    site.kill()
    (docs / "a.xml").unlink()
    site.start()
    federation.clock.advance(5.0)
    assert (docs / "a.xml").read_text() == "one"


def test_documents_that_are_new_in_the_settings_are_fetched(
    make_site: MakeSite, federation: Federation, documents: dict[str, Any], docs: Path
) -> None:
    before = make_site()
    before.start()
    live(federation, content="one")
    federation.clock.advance(5.0)
    before.kill()
    make_site(documents=[documents]).start()
    federation.clock.advance(5.0)
    assert (docs / "a.xml").read_text() == "one"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff", b'{"revision": "x"}', b"[]", b'{"x":' * 100_000]
)
def test_a_damaged_state_file_is_begun_again(
    site: Site, federation: Federation, docs: Path, damage: bytes
) -> None:
    site.start()
    live(federation, content="one")
    federation.clock.advance(5.0)
    site.kill()
    (site.settings.folder / "following.json").write_bytes(damage)
    before = (docs / "a.xml").stat().st_mtime_ns
    site.start()
    federation.clock.advance(5.0)
    assert last(federation).documents == {KEY: 1}
    assert (docs / "a.xml").stat().st_mtime_ns == before


def test_an_older_state_than_the_files_is_harmless(
    hooked: Site, federation: Federation, docs: Path
) -> None:
    """As after a kill between writing a document and writing the state."""
    hooked.plugins.verdicts["reload"] = OK
    state = hooked.settings.folder / "following.json"
    hooked.start()
    live(federation, content="one")
    federation.clock.advance(5.0)
    older = state.read_bytes()
    live(federation, content="two")
    hooked.kill()
    state.write_bytes(older)
    hooked.start(Spool.open(hooked.spool_file, 65_536, 60.0))
    federation.clock.advance(5.0)
    assert (docs / "a.xml").read_text() == "two"
    assert (docs / ".a.xml.previous").read_text() == "one"
    assert last(federation).documents == {KEY: 2}
    assert [told["NM_BUS_REVISION"] for told in hooked.plugins.hooks] == ["1", "2"]
