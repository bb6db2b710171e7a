"""What a client asks, of whom, and what it makes of the answers."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from nm_bus.client import Client, content_of, moment, of_update
from nm_bus.errors import (
    ConfigError,
    ConflictError,
    ConnectionLostError,
    RefusedError,
    TimedOutError,
    UndecidedError,
)
from nm_bus.messages import Propose
from nm_bus.testing.supernodes import FakeSupernodes

Made = Callable[..., Client]


def test_a_document_is_read_as_it_was_put(client: Client) -> None:
    for name, content in (("a.txt", "blå\n"), ("sub/b.bin", b"\xff\0"), ("empty.txt", "")):
        agreed = client.put("dash", name, content, note="first")
        entry = client.document("dash", name)
        assert entry is not None
        assert agreed.state == "agreed"
        assert (entry.revision, entry.actor) == (agreed.revision, client.user)
        expected = content.encode() if isinstance(content, str) else content
        assert content_of(entry.value) == expected
    assert client.document("dash", "none.txt") is None


def test_a_document_is_put_only_over_the_revision_that_is_expected(client: Client) -> None:
    first = client.put("dash", "a.txt", "1", if_revision=0)
    second = client.put("dash", "a.txt", "2", if_revision=first.revision)
    with pytest.raises(ConflictError, match=r"a\.txt is at revision 2") as refused:
        client.put("dash", "a.txt", "3", if_revision=first.revision)
    assert refused.value.code == "conflict"
    client.delete("config/dash/a.txt", if_revision=second.revision)
    assert client.document("dash", "a.txt") is None


def test_what_may_not_be_published_is_not_proposed(
    client: Client, supernodes: FakeSupernodes
) -> None:
    schema = '{"type": "object", "required": ["port"]}'
    client.put("dash", "a.json", '{"port": 1}', schema=schema)
    for name, content, reason in (
        ("a.json", "{}", "refused by its schema"),
        ("../a", "x", "is no document's name"),
        ("a.txt", "x" * 65_537, "too large"),
        ("a.ini", "password = correcthorse", "looks like a password"),
    ):
        with pytest.raises(RefusedError, match=reason):
            client.put("dash", name, content)
    with pytest.raises(RefusedError, match="'the dash' is no component's name"):
        client.put("the dash", "a.txt", "x")
    assert len(supernodes.decided) == 1
    assert client.put("dash", "a.ini", "password = correcthorse", force=True).revision == 2


def test_one_that_may_not_change_it_is_refused(client_of: Made) -> None:
    with pytest.raises(RefusedError, match=r"guest.example may not set config/dash/a") as refused:
        client_of("guest.example").put("dash", "a.txt", "x")
    assert refused.value.code == "not-allowed"


def test_lists_come_whole_whatever_their_pages_hold(client: Client) -> None:
    for n in range(8):
        client.put("dash", f"{n}.txt", "x")
    client.put("dash", "0.txt", "y")
    assert [e.key for e in client.entries("config/dash/")] == [
        f"config/dash/{n}.txt" for n in range(8)
    ]
    assert [u.revision for u in client.updates_of(since=2)] == [3, 4, 5, 6, 7, 8, 9]
    assert [u.revision for u in client.history()] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert [u.revision for u in client.history("config/dash/0.txt")] == [9, 1]
    assert [u.revision for u in islice(client.history(before=4), 2)] == [3, 2]


def test_another_supernode_is_asked_when_one_cannot_answer(
    client: Client, supernodes: FakeSupernodes
) -> None:
    supernodes[0].kill()
    supernodes[1].silent = True
    assert client.put("dash", "a.txt", "x").revision == 1
    asked = len(supernodes[1].asked)
    assert client.standing().node == supernodes[2].node
    assert len(supernodes[1].asked) == asked, "who answered last is asked first"
    with pytest.raises(ConnectionLostError, match=r"sn1\.example\.org refuses"):
        client.at(supernodes[0].node).standing()


def test_a_change_is_agreed_once_however_often_it_is_asked(
    client: Client, supernodes: FakeSupernodes
) -> None:
    supernodes[0].cut = True
    agreed = client.put("dash", "a.txt", "x")
    assert (agreed.state, agreed.revision) == ("agreed", 1)
    supernodes.heal(supernodes[0].node)
    assert supernodes[0].state.revision == 1
    assert len({change.id for change in supernodes.decided}) == 1
    assert client.put("dash", "a.txt", "y").id != agreed.id


def test_what_is_accepted_is_not_called_agreed(client: Client, supernodes: FakeSupernodes) -> None:
    for node in supernodes.nodes:
        supernodes.by_node[node].cut = True
    with pytest.raises(UndecidedError, match="accepted the change, but it is not agreed") as error:
        client.propose("set", "config/dash/a.txt", {"content": "x"}, timeout=0.2)
    assert error.value.accepted_by == supernodes[0].node
    proposals = [m for m in supernodes[0].asked if isinstance(m, Propose)]
    assert {m.change.id for m in proposals} == {error.value.id}
    for node in supernodes.nodes:
        supernodes.heal(node)
    again = client.propose("set", "config/dash/a.txt", {"content": "x"}, id=error.value.id)
    assert (again.revision, again.id) == (1, error.value.id)
    assert client.outcome(error.value.id) == again
    assert client.outcome("admin.example/0/1") is None


def test_an_outcome_that_nobody_tells_is_not_known(
    client: Client, supernodes: FakeSupernodes
) -> None:
    for node in supernodes.nodes:
        supernodes.by_node[node].silent = True
    with pytest.raises(UndecidedError, match=r"is not known .*; ask again with its id") as error:
        client.propose("set", "config/dash/a.txt", {"content": "x"}, timeout=0.2)
    assert error.value.accepted_by == ""
    assert error.value.id.startswith(f"{client.user}/")


def test_waiting_for_a_revision_ends_when_a_supernode_has_applied_it(
    client: Client, supernodes: FakeSupernodes
) -> None:
    revision = client.put("dash", "a.txt", "x").revision
    assert client.wait(revision).revision == revision
    with pytest.raises(TimedOutError, match=r"revision 2 is not there yet: 1 is the newest one"):
        client.wait(revision + 1, timeout=0.1)
    supernodes[0].cut = True
    supernodes[1].cut = True
    client_at_head = client.put("dash", "a.txt", "y").revision
    entry = client.document("dash", "a.txt", at_least=client_at_head)
    assert entry is not None
    assert content_of(entry.value) == b"y"


def test_who_waits_while_nobody_answers_is_told_that(
    client: Client, supernodes: FakeSupernodes
) -> None:
    for node in supernodes.nodes:
        supernodes.by_node[node].kill()
    with pytest.raises(ConnectionLostError, match="refuses connections"):
        client.wait(1, timeout=0.1)


@pytest.mark.parametrize("path", [str, Path])
def test_a_client_is_made_from_the_path_of_its_settings(
    path: Callable[[str], str | Path], tmp_path: Path
) -> None:
    file = tmp_path / "admin.toml"
    with pytest.raises(ConfigError, match=r"admin\.toml: the file is not there"):
        Client(path(str(file)))


def test_a_document_gives_its_bytes_and_its_text(client: Client) -> None:
    client.put("dash", "a.txt", "blå\n")
    client.put("dash", "b.bin", b"\xff\0")
    text, binary = client.document("dash", "a.txt"), client.document("dash", "b.bin")
    assert text is not None
    assert binary is not None
    assert (text.content, text.text) == ("blå\n".encode(), "blå\n")
    assert binary.content == b"\xff\0"
    with pytest.raises(RefusedError, match=r"b\.bin is no text in UTF-8; see `content`"):
        _ = binary.text


def test_a_value_is_published_as_json(client: Client) -> None:
    client.put("dash", "a.json", {"name": "blå", "ports": [1, 2]})
    entry = client.document("dash", "a.json")
    assert entry is not None
    assert json.loads(entry.text) == {"name": "blå", "ports": [1, 2]}
    assert "blå" in entry.text
    for none in ({1, 2}, {"a": float("nan")}, object()):
        with pytest.raises(RefusedError, match="is no bytes, text or JSON"):
            client.put("dash", "a.json", none)


def test_a_documents_name_is_not_taken_for_a_key_of_nothing(client: Client) -> None:
    with pytest.raises(RefusedError, match=r"'dash/a\.txt' is no key: .*config/COMPONENT/NAME"):
        client.get("dash/a.txt")


def test_a_client_is_imported_without_the_libraries_that_carry_it() -> None:
    heavy = ("kombu", "amqp", "cryptography", "jsonschema", "asyncio")
    code = f"import sys, nm_bus.client; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_what_is_asked_at_one_supernode_is_asked_there_alone(
    client: Client, supernodes: FakeSupernodes
) -> None:
    client.put("dash", "a.txt", "x")
    asked = [len(supernodes.by_node[node].asked) for node in supernodes.nodes]
    assert client.at(supernodes.nodes[2]).standing().node == supernodes.nodes[2]
    assert [len(supernodes.by_node[node].asked) for node in supernodes.nodes[:2]] == asked[:2]
    with pytest.raises(ConnectionLostError, match="is none of the supernodes in the settings"):
        client.at("sn9.example.org")


def test_times_are_moments_with_a_time_zone(client: Client) -> None:
    client.put("dash", "a.txt", "x")
    entry = client.document("dash", "a.txt")
    (update,) = client.updates_of()
    assert entry is not None
    assert entry.when == moment(update.time) == datetime.fromtimestamp(update.time / 1e6, UTC)


def test_an_update_gives_the_entry_that_it_makes(client: Client) -> None:
    client.put("dash", "a.txt", "x")
    client.delete("config/dash/a.txt")
    made, deleted = map(of_update, client.updates_of())
    assert made is not None
    assert (made.text, made.revision, made.actor) == ("x", 1, client.user)
    assert deleted is None
