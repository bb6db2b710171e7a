"""An event of the ledger is on disk as a whole or not at all; a bad file says what to do."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from nm_bus.core.ledger.answers import WINDOW, Answers, Asker
from nm_bus.core.ledger.effects import Vote
from nm_bus.core.ledger.state import StateSnapshot
from nm_bus.errors import StorageError
from nm_bus.messages import Ballot, Batch, Change, Echo, Entry, Mark, Proposed, Update
from nm_bus.storage import ledger as storage
from nm_bus.storage import log, retention
from nm_bus.storage.ledger import LedgerIdentity, SqliteLedger, create_ledger, open_ledger
from nm_bus.storage.position import Position
from nm_lab.samples.history import update_of

ME = "sn1.example.org"
IDENTITY = LedgerIdentity("test", ME, "genesis", 1, "a" * 64)

WRITER = """
import sys
from pathlib import Path
from msgspec import structs
from nm_bus.messages import Batch, Change, Entry, Mark
from nm_bus.storage.ledger import open_ledger

store, slot = open_ledger(Path(sys.argv[1])), 0
while True:
    slot += 1
    change = Change(f"a/b/{slot}", "a", "set", "config/a/b", value={"content": "x" * 5000})
    with store.transaction():
        store.keep_batch(Mark(slot), Batch("sn1#genesis", slot, (change,)))
        store.keep_entries({f"config/a/{slot}": Entry(f"config/a/{slot}", {}, slot, "a")})
        store.keep_position(structs.replace(store.position, height=slot, revision=slot))
    print(slot, flush=True)
"""


def change(number: int, key: str = "config/a/b") -> Change:
    return Change(f"asker/i/{number}", "asker", "set", key, value={"content": "x"})


def update(revision: int, time: int = 0, key: str = "config/a/b") -> Update:
    return update_of(change(revision, key), revision, time=time)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    create_ledger(path, IDENTITY, Position(height=0, head=IDENTITY.file)).close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteLedger]:
    with closing(open_ledger(path)) as store:
        yield store


@pytest.mark.parametrize("committed", [1, 20, 60])
def test_kill_9_leaves_every_event_whole(path: Path, committed: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(committed)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    with closing(open_ledger(path)) as store:
        height = store.position.height
        assert height >= int(lines[-1])
        assert len(list(store.entries())) == height
        assert store.batches(height) != ()
        assert store.batches(height + 1) == ()


def test_what_happens_inside_an_event_that_fails_did_not_happen(store: SqliteLedger) -> None:
    def fail() -> None:
        with store.transaction():
            store.keep_change(change(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.outbox() == {}


def test_a_vote_is_there_until_its_slot_is_decided(path: Path) -> None:
    batch = Batch("a#genesis", 5, (change(1),))
    votes = {1: Vote(Ballot(2, "b")), 2: Vote(Ballot(3, "b"), Ballot(1, "a"), batch)}
    with closing(open_ledger(path)) as store:
        store.keep_change(change(1))
        store.keep_change(change(2))
        for slot, vote in votes.items():
            store.keep_vote(slot, vote)
    with closing(open_ledger(path)) as store:
        assert store.votes() == votes
        store.keep_batch(Mark(1, 1, "h"), batch)
        assert store.votes() == {2: votes[2]}
        assert list(store.outbox()) == [change(2).id]
        assert store.batches(1) == (batch,)


def test_a_life_is_counted_and_what_was_seen_of_peers_is_kept(path: Path) -> None:
    known = {"b#genesis": Echo(3, "n", 7, Ballot(1, "b"))}
    with closing(open_ledger(path)) as store:
        store.started("first")
        store.keep_peers(known)
    with closing(open_ledger(path)) as store:
        assert (store.identity.boot, store.identity.nonce) == (1, "first")
        store.started("second")
        assert store.identity.boot == 2
        assert store.peers() == known


# --- answers


def kept(store: SqliteLedger, answers: Answers, *numbers: tuple[str, int]) -> None:
    """Keep an event's answers in memory and on disk."""
    new: dict[Asker, list[Proposed]] = {}
    for asker, number in numbers:
        answer = Proposed(f"{asker}/i/{number}", "agreed", number)
        answers.keep(answer, number)
        new[asker, "i"] = [*new.pop((asker, "i"), []), answer]
    store.answers.keep(answers, new)


def test_answers_come_back_as_they_were_watermarks_and_order_of_use_included(
    store: SqliteLedger,
) -> None:
    answers = Answers()
    kept(store, answers, ("one", 2), ("two", 1), ("one", 1))
    kept(store, answers, *(("two", n) for n in range(2, WINDOW + 50)))
    kept(store, answers, ("one", 3))
    assert Answers(store.answers.all()).all() == answers.all()


def test_askers_that_are_forgotten_are_gone_from_the_file(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nm_bus.core.ledger.answers.MOST_ASKERS", 3)
    answers = Answers()
    for asker in ("one", "two", "three", "one", "four", "five"):
        kept(store, answers, (asker, 1 + len(answers.all()) * 10 + len(asker)))
    assert Answers(store.answers.all()).all() == answers.all()
    kept(store, answers, ("six", 1), ("seven", 1), ("eight", 1), ("five", 77))
    assert Answers(store.answers.all()).all() == answers.all()


# --- the feed and the log


def test_the_feed_is_read_forward_and_back_also_for_one_key(store: SqliteLedger) -> None:
    for revision in range(1, 11):
        key = "lock/l" if revision % 2 else "config/a/b"
        store.keep_update(update(revision, key=key), [key, "member/touched"])
    store.keep_position(structs.replace(store.position, revision=10))
    assert [each.revision for each in store.updates(7, 2)] == [8, 9]
    assert [each.revision for each in store.updates(2, 3, "lock/l")] == [3, 5, 7]
    assert [each.revision for each in store.history("lock/l", 0, 2)] == [9, 7]
    assert [each.revision for each in store.history("", 4, 5)] == [3, 2, 1]
    assert len(store.history("member/touched", 0, 100)) == 10


def test_old_updates_go_but_never_those_of_the_last_revisions(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = retention.Bounds(10, 100, 10_000, 2**30)
    monkeypatch.setitem(retention.BOUNDS, "config", bounds)
    for revision in range(1, 51):
        store.keep_update(update(revision, time=revision * 10), ["config/a/b"])
    store.keep_position(structs.replace(store.position, revision=50, time=500))
    store.compact()
    assert store.position.feed_from == 39
    assert [each.revision for each in store.updates(0, 2)] == [40, 41]
    assert [each.revision for each in store.history("config/a/b", 0, 100)][-1] == 40
    size = 3 * len(storage._encode(update(50, time=500)))
    monkeypatch.setitem(retention.BOUNDS, "config", bounded(bounds, size))
    store.keep_update(update(51, time=500), ["config/a/b"])
    store.compact()
    assert [each.revision for each in store.updates(0, 9)] == [49, 50, 51]


def bounded(bounds: retention.Bounds, size: int) -> retention.Bounds:
    return retention.Bounds(bounds.least, bounds.age, bounds.most, size)


def test_a_feed_is_read_by_its_numbers_and_says_from_where_on_it_is_kept(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for revision in range(1, 11):
        one = update(revision)
        feed, number = ("config/a", "lock")[revision % 2], (revision + 1) // 2
        place = structs.replace(one.place, feed=feed, number=number)
        store.keep_update(structs.replace(one, place=place), [])
    store.keep_position(structs.replace(store.position, revision=10))

    def numbers(feed: str, since: int, limit: int = 9) -> list[int]:
        return [each.place.number for each in store.past.of_feed(feed, since, limit)]

    assert numbers("lock", 1, 2) == [2, 3]
    assert numbers("config/none", 0) == []
    assert [store.past.kept_from(feed) for feed in ("lock", "config/none")] == [0, 0]
    after = store.past.next_of("lock", 3)
    assert after is not None
    assert (after.revision, after.place.number) == (5, 3)
    assert store.past.next_of("lock", 9) is None
    for group in ("config", "lock"):
        monkeypatch.setitem(retention.BOUNDS, group, retention.Bounds(1, -1, 1, 2**40))
    store.compact()
    assert store.position.feed_from == 8
    assert numbers("config/a", 0) == [5]
    assert [store.past.kept_from(feed) for feed in ("config/a", "lock")] == [4, 4]


def test_the_log_is_compacted_and_says_when_it_has_not_what_is_asked(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOG_SLOTS", 3)
    monkeypatch.setattr(log, "PAGE_SLOTS", 2)
    for slot in range(1, 11):
        store.keep_batch(Mark(slot), Batch("a#genesis", slot))
    store.keep_position(structs.replace(store.position, height=10))
    store.compact()
    assert store.batches(7) is None
    assert store.batches(8) == (Batch("a#genesis", 8), Batch("a#genesis", 9))
    assert store.batches(11) == ()


def test_a_snapshot_takes_the_place_of_all(store: SqliteLedger) -> None:
    store.keep_batch(Mark(1), Batch("a#genesis"))
    store.keep_update(update(1), ["config/a/b"])
    store.keep_entries({"config/a/b": Entry("config/a/b", {}, 1, "a")})
    answers = Answers()
    kept(store, answers, ("one", 1))
    entry = Entry("lock/l", {}, 5, "a")
    with store.transaction():
        store.replace_state(StateSnapshot("test", 1, 5, "h", 0, (entry,), ()))
    assert list(store.entries()) == [entry]
    assert list(store.answers.all()) == []
    assert store.updates(0, 9) == []


# --- bad files


def test_a_second_process_is_told_that_it_is_one(store: SqliteLedger) -> None:
    with pytest.raises(StorageError, match=r"ledger\.db: another process uses it"):
        open_ledger(store.path)


def test_a_full_disk_is_said_and_the_event_is_undone(path: Path) -> None:
    with closing(open_ledger(path, max_bytes=128 * 1024)) as store:
        store.keep_change(change(1))

        def large() -> None:
            with store.transaction():
                store.keep_change(change(2))
                value = {"content": "x" * 200_000}
                store.keep_change(structs.replace(change(3), value=value))

        with pytest.raises(StorageError, match="the disk is full"):
            large()
        assert list(store.outbox()) == [change(1).id]


def test_a_damaged_file_says_to_join_again(path: Path) -> None:
    with closing(open_ledger(path)) as store:
        for number in range(200):
            store.keep_change(structs.replace(change(number), value={"content": "x" * 500}))
    data = bytearray(path.read_bytes())
    for offset in range(8192, len(data), 4096):
        data[offset : offset + 2000] = b"\xff" * len(data[offset : offset + 2000])
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"damaged; join again .* nm-bus init --replace"):
        open_ledger(path)


def test_damage_that_sqlite_does_not_see_says_to_join_again(path: Path) -> None:
    with closing(open_ledger(path)) as store:
        store.keep_change(structs.replace(change(1), value={"content": "x" * 500}))
    path.write_bytes(path.read_bytes().replace(b"x" * 100, b"\xff" * 100))
    said = r"damaged; join again .* nm-bus init --replace"
    with closing(open_ledger(path)) as store, pytest.raises(StorageError, match=said):
        store.outbox()


def test_a_folder_in_its_place_says_to_join_again(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no file; join again .* nm-bus init --replace"):
        open_ledger(tmp_path)


def test_what_is_no_database_says_to_join_again(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="nm-bus init --replace"):
        open_ledger(path)


def test_a_file_that_may_not_be_written_says_so(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write where nobody else may")
    path.chmod(0o400)
    with pytest.raises(StorageError, match="cannot be written"):
        open_ledger(path)


def test_a_file_of_an_earlier_version_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "earlier.db"
    create_ledger(path, IDENTITY, Position()).close()
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA user_version = {storage.SCHEMA - 1}")
    with pytest.raises(StorageError, match=r"earlier version of nm-bus \(tables 3, known 4\)"):
        open_ledger(path)


def test_no_ledger_and_an_empty_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no ledger; make one: nm-bus init"):
        open_ledger(tmp_path / "none.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(StorageError, match=r"holds no ledger; join again .* nm-bus init --replace"):
        open_ledger(tmp_path / "empty.db")


def test_a_ledger_is_never_made_over_another(path: Path) -> None:
    with pytest.raises(StorageError, match="there is a ledger already"):
        create_ledger(path, IDENTITY, Position())
