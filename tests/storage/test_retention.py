"""What is old goes, a little at each event, whose work does not grow with what is kept."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from nm_bus.messages import Batch, Change, Mark, Update
from nm_bus.storage import retention
from nm_bus.storage.ledger import SqliteLedger, open_ledger
from nm_lab.samples.history import update_of


def update(revision: int, time: int = 0) -> Update:
    change = Change(f"a/1/{revision}", "a", "set", f"config/c/{revision % 7}", value={"x": "y"})
    return update_of(change, revision, time=time)


def keep_most(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    bounds = retention.Bounds(most, retention.DAY, most, 2**40)
    monkeypatch.setitem(retention.BOUNDS, "config", bounds)


def fill(store: SqliteLedger, count: int, *, since: int = 0) -> None:
    """So many slots of one revision each, of two keys, and nothing goes."""
    numbers = range(since + 1, since + count + 1)
    with store.transaction():
        store.keep_updates([(update(n, time=n), [f"lock/{n}"]) for n in numbers])
        for number in numbers:
            store.keep_batch(Mark(number), Batch("a#genesis", number))


def move(store: SqliteLedger, to: int) -> None:
    position = structs.replace(store.position, height=to, revision=to, time=to)
    with store.transaction():
        store.keep_position(position)


def counts(store: SqliteLedger) -> tuple[int, ...]:
    rows = [store._file.rows(f"SELECT count(*) FROM {t}") for t in ("log", "feed", "touched")]
    return tuple(found for ((found,),) in rows)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOG_SLOTS", 30)
    keep_most(monkeypatch, 50)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 20)
    monkeypatch.setattr("nm_bus.storage.past.MOST_AT_ONCE", 20)
    monkeypatch.setattr("nm_bus.storage.past.MOST_TOUCHED", 40)


@pytest.mark.usefixtures("small")
def test_an_event_lets_go_of_a_bounded_number_of_rows_and_in_the_end_all_go_that_must(
    store: SqliteLedger,
) -> None:
    fill(store, 300)
    before, events = counts(store), 0
    while counts(store) != (30, 50, 100):
        events += 1
        fill(store, 1, since=299 + events)
        move(store, 299 + events + 1)
        now = counts(store)
        for was, came, has, most in zip(before, (1, 1, 2), now, (20, 20, 40), strict=True):
            assert was + came - most <= has
        before = now
        assert events < 40
    assert store.position.feed_from == 299 + events + 1 - 50
    assert len(store.updates(0, 1_000)) == 50


@pytest.mark.usefixtures("small")
def test_the_log_after_a_snapshot_that_is_fetched_is_kept(store: SqliteLedger) -> None:
    fill(store, 100)
    store.wanted = 5
    for event in range(10):
        move(store, 100 + event)
    assert store.batches(5) is None
    assert store.batches(6)
    assert store.goes_on_after(5)
    store.wanted = None
    for event in range(10):
        move(store, 110 + event)
    assert not store.goes_on_after(5)
    assert store.batches(6) is None


def test_a_log_of_too_many_bytes_goes_whoever_wants_it(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 100)
    ((size,),) = store._file.rows("SELECT sum(length(batch)) FROM log")
    monkeypatch.setattr(retention, "LOG_BYTES", size // 2)
    store.wanted = 5
    move(store, 101)
    ((left,),) = store._file.rows("SELECT sum(length(batch)) FROM log")
    assert left <= size // 2 < left + 2 * left / len(range(50))
    assert store.batches(100)


def test_how_large_the_rows_are_is_known_over_a_restart(path: Path) -> None:
    with closing(open_ledger(path)) as store:
        fill(store, 10)
        before = store._log.size, store.past._stocks
    with closing(open_ledger(path)) as store:
        assert (store._log.size, store.past._stocks) == before


@pytest.mark.usefixtures("small")
def test_what_an_event_costs_does_not_grow_with_what_is_kept(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOG_SLOTS", 10_000)
    keep_most(monkeypatch, 10_000)
    fill(store, 50)
    few = steps(store, lambda: move(store, 51))
    fill(store, 8_000, since=50)
    many = steps(store, lambda: move(store, 8_051))
    assert many <= few + 20


@pytest.mark.usefixtures("small")
def test_what_goes_costs_the_same_however_much_is_kept(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 200)
    few = steps(store, lambda: move(store, 200))
    fill(store, 8_000, since=200)
    keep_most(monkeypatch, 8_000)
    many = steps(store, lambda: move(store, 8_200))
    assert many <= 1.1 * few


def test_a_single_row_that_goes_costs_little_however_many_may_go_at_once(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOG_SLOTS", 50)
    keep_most(monkeypatch, 50)
    fill(store, 3_000)

    def go_on() -> None:
        at = store.position.height
        fill(store, 1, since=max(at, 3_000))
        move(store, max(at, 3_000) + 1)

    for _ in range(4):
        go_on()
    before = counts(store)
    one = steps(store, go_on)
    assert counts(store) == before == (50, 50, 100)
    assert one < 1_500


def steps(store: SqliteLedger, do: Callable[[], None]) -> int:
    """How many instructions SQLite runs for it."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    database: sqlite3.Connection = store._file._db
    database.set_progress_handler(step, 1)
    try:
        do()
    finally:
        database.set_progress_handler(None, 1)
    return count
