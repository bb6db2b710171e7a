"""`nm-bus init`: each way it ends, and what it says."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from nm_broker.pki import Authority
from nm_bus.storage.ledger import open_ledger

from ..test_folder import as_root_with
from .conftest import Run

NODE = "sn1.example.org"

PROJECT = f"""
project = "test"
administrators = ["admin.example.org"]
[[supernodes]]
node = "{NODE}"
"""

SUPERNODE = f"""
project = "test"
node = "{NODE}"
folder = "state"
[broker]
host = "{NODE}"
[tls]
ca = "ca"
certificate = "crt"
key = "key"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project.toml").write_text(PROJECT)
    (tmp_path / "supernode.toml").write_text(SUPERNODE)
    return tmp_path


def words(folder: Path, *more: str) -> tuple[str, ...]:
    return ("init", "--config", str(folder / "supernode.toml"), *more)


def test_a_ledger_is_made_once_and_the_second_time_says_so(run: Run, folder: Path) -> None:
    command = words(folder, "--project", str(folder / "project.toml"))
    first, second = run(*command), run(*command)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert f"made for {NODE}" in first.stdout
    assert "nothing was changed" in second.stdout


def test_a_project_file_that_differs_is_refused_with_what_differs(run: Run, folder: Path) -> None:
    command = words(folder, "--project", str(folder / "project.toml"))
    run(*command)
    (folder / "project.toml").write_text(PROJECT.replace("admin.", "eve."))
    said = run(*command)
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert "administrator eve.example.org was not there, now there" in said.stderr


def test_replaced_it_says_what_an_administrator_must_do(run: Run, folder: Path) -> None:
    said = run(*words(folder, "--replace"))
    assert said.exit_code == 0
    assert f"nm-bus supernode add {NODE} --incarnation" in said.stdout
    assert f"nm-bus supernode promote {NODE}" in said.stdout
    again = run(*words(folder, "--project", str(folder / "project.toml")))
    assert (again.exit_code, "joined again; nothing was changed" in again.stdout) == (0, True)
    told = json.loads(run(*words(folder, "--replace", "--json")).stdout)
    assert told["incarnation"] in told["admission"]
    assert told["incarnation"] in said.stdout


def test_the_fingerprint_of_a_project_file_is_what_it_says_not_how(run: Run, folder: Path) -> None:
    command = words(folder, "--project", str(folder / "project.toml"))
    first = json.loads(run(*command, "--json").stdout)["fingerprint"]
    assert [len(group) for group in first.split("-")] == [4, 4, 4, 4]
    (folder / "project.toml").write_text("# a comment\n" + PROJECT.replace(" = ", "="))
    assert json.loads(run(*command, "--json").stdout)["fingerprint"] == first
    assert first in run(*command).stdout


def test_a_wrong_project_file_is_left_behind_once_that_is_confirmed(run: Run, folder: Path) -> None:
    command = words(folder, "--project", str(folder / "project.toml"))
    run(*command)
    (folder / "project.toml").write_text(PROJECT.replace("admin.", "other."))
    assert "--replace --project FILE" in run(*command).stderr
    asked = run(*command, "--replace")
    assert (asked.exit_code, asked.stderr.count("\n")) == (2, 1)
    assert "--yes" in asked.stderr
    looked = run(*command, "--replace", "--dry-run")
    assert (looked.exit_code, "revision 0" in looked.stdout) == (0, True)
    done = run(*command, "--replace", "--yes")
    assert (done.exit_code, "put aside" in done.stdout) == (0, True)


@pytest.mark.parametrize("name", ["Me@llnl.gov", "me@llnl.gov", "-me"])
def test_an_administrator_whom_no_certificate_can_name_is_refused(
    run: Run, folder: Path, name: str
) -> None:
    (folder / "project.toml").write_text(PROJECT.replace("admin.example.org", name))
    said = run(*words(folder, "--project", str(folder / "project.toml")))
    assert (said.exit_code, "administrators" in said.stderr) == (2, True)


@pytest.mark.parametrize("more", [(), ("--replace", "--new-epoch")])
def test_it_must_know_what_to_begin_with(run: Run, folder: Path, more: tuple[str, ...]) -> None:
    said = run(*words(folder, *more))
    assert said.exit_code == 2
    assert "--replace" in said.stderr


def test_a_new_epoch_is_only_looked_at_without_yes(run: Run, folder: Path) -> None:
    run(*words(folder, "--project", str(folder / "project.toml")))
    before = (folder / "state" / "ledger.db").read_bytes()
    said = run(*words(folder, "--new-epoch"))
    assert said.exit_code == 1
    for told in ("epoch 1, revision 0, height 0", "What may be lost", "supernode list", "--yes"):
        assert told in said.stdout
    assert (folder / "state" / "ledger.db").read_bytes() == before
    data = json.loads(run(*words(folder, "--new-epoch", "--json")).stdout)
    assert (data["before"]["revision"], data["begun"]) == (0, None)


def test_a_new_epoch_begins_with_yes_and_is_signed(run: Run, folder: Path) -> None:
    tls = Authority.create(folder / "pki").issue(NODE, folder / "pki")
    (folder / "crt").write_bytes(tls.certificate.read_bytes())
    (folder / "key").write_bytes(tls.key.read_bytes())
    run(*words(folder, "--project", str(folder / "project.toml")))
    said = run(*words(folder, "--new-epoch", "--yes"))
    assert said.exit_code == 0, said.output
    assert "begins with revision 1" in said.stdout
    with closing(open_ledger(folder / "state" / "ledger.db")) as store:
        (update,) = store.updates(0, 10)
    assert update.change.signature
    assert update.change.value is not None
    assert update.change.value["by"]


@pytest.mark.parametrize(
    "more", [("--new-epoch", "--replace"), ("--new-epoch", "--project", "project.toml")]
)
def test_a_new_epoch_is_nothing_beside_another_thing(
    run: Run, folder: Path, more: tuple[str, ...]
) -> None:
    assert run(*words(folder, *more)).exit_code == 2


def test_where_no_ledger_is_no_epoch_begins(run: Run, folder: Path) -> None:
    said = run(*words(folder, "--new-epoch", "--yes"))
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert "is not there" in said.stderr


def test_root_makes_no_ledger_in_a_folder_of_another_user(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "state").mkdir()
    with as_root_with(folder / "state", monkeypatch):
        said = run(*words(folder, "--project", str(folder / "project.toml")))
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert "not to root; run it as that user" in said.stderr
    assert list((folder / "state").iterdir()) == []


def test_a_project_file_that_is_not_there_is_called_so(run: Run, folder: Path) -> None:
    said = run(*words(folder, "--project", str(folder / "none.toml")))
    assert said.exit_code == 2
    assert "none.toml: the file is not there; check the path" in said.stderr
