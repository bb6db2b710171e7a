"""The updates of a ledger as rows: read in every way, and let go of by groups."""

from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from nm_bus.messages import Change, Update
from nm_bus.storage import retention
from nm_bus.storage.ledger import SqliteLedger, open_ledger
from nm_lab.samples.history import update_of


def update(revision: int, key: str = "config/a/b", number: int = 0) -> Update:
    change = Change(f"a/1/{revision}", "a", "set", key, value={"x": "y"})
    made = update_of(change, revision)
    return structs.replace(made, place=structs.replace(made.place, number=number or revision))


def fill(store: SqliteLedger, *keys: str) -> None:
    """A revision for each of the keys, beginning with the first."""
    numbers: dict[str, int] = {}
    made = []
    for revision, key in enumerate(keys, 1):
        feed = update(1, key).place.feed
        numbers[feed] = numbers.get(feed, 0) + 1
        made.append((update(revision, key, numbers[feed]), [f"member/m{revision}"]))
    store.keep_updates(made)
    store.keep_position(structs.replace(store.position, revision=len(keys)))


def revisions(updates: list[Update]) -> list[int]:
    return [each.revision for each in updates]


def test_locks_and_sessions_are_left_out_if_they_are_not_wanted(store: SqliteLedger) -> None:
    fill(store, "config/a/b", "lock/l", "session/p/s", "record/k/n", "lock/l")
    assert revisions(store.updates(0, 9, without_locks=True)) == [1, 4]
    assert revisions(store.history("", 0, 9, without_locks=True)) == [4, 1]
    assert revisions(store.history("", 4, 9, without_locks=True)) == [1]
    assert revisions(store.history("lock/l", 0, 9, without_locks=True)) == [5, 2]


def test_to_leave_locks_out_costs_nothing_however_many_there_are(store: SqliteLedger) -> None:
    plan = store._file.rows(
        "EXPLAIN QUERY PLAN SELECT body FROM feed WHERE true AND of_group <> 'lock'"
        " AND revision < 9 ORDER BY revision DESC LIMIT 5"
    )
    assert "USING INDEX lasting (revision<?)" in str(plan)


def test_the_past_of_a_group_comes_newest_first_with_its_keys(store: SqliteLedger) -> None:
    fill(store, *["config/a/b", "lock/l", "config/c/d"] * 20)
    found = list(store.past.earlier("config", 50, 5))
    assert revisions([one.update for one in found]) == [
        revision for revision in range(49, 0, -1) if revision % 3 != 2
    ]
    assert found[0].keys == ("member/m49",)
    store.keep_update(update(61, "session/p/s", 21), [f"lock/{n}" for n in range(20)])
    (newest, *_) = store.past.earlier("lock", 99, 5)
    assert len(newest.keys) == 5


def test_a_feed_is_whole_when_its_first_update_is_there(store: SqliteLedger) -> None:
    store.keep_update(update(7, "config/a/b", 3), [])
    assert store.past.kept_from("config/a") == 2
    first = store.past.first_of("config/a")
    assert first is not None
    assert first.revision == 7
    store.past.add([(update(5, "config/a/b", 2), []), (update(2, "config/a/b", 1), [])])
    assert store.past.kept_from("config/a") == 0
    assert [place.number for place in store.past.feeds()] == [3], "the last place stays"
    assert revisions(store.past.of_feed("config/a", 0, 9)) == [2, 5, 7]
    assert store.past.first_of("config/none") is None


def test_what_earlier_updates_are_found_by_is_kept_with_them(store: SqliteLedger) -> None:
    store.past.add([(update(5), ["member/m"])])
    store.keep_position(structs.replace(store.position, revision=9))
    assert revisions(store.history("member/m", 0, 9)) == [5]
    assert revisions(store.history("config/a/b", 0, 9)) == [5]


def test_an_update_that_is_here_already_changes_nothing(store: SqliteLedger) -> None:
    fill(store, "config/a/b", "config/a/b")
    store.past.add([(update(1, "config/c/d", 1), []), (update(9, "config/a/b", 2), [])])
    assert revisions(store.updates(0, 9)) == [1, 2]
    assert store.updates(0, 1)[0].change.key == "config/a/b"


@pytest.mark.parametrize(
    ("bounds", "has_room"),
    [
        (retention.Bounds(4, 1, 9, 2**30), True),
        (retention.Bounds(3, 1, 9, 2**30), False),
        (retention.Bounds(4, 1, 9, 2 * retention.MIB), False),
    ],
)
def test_there_is_room_for_the_past_where_it_would_stay(
    store: SqliteLedger,
    monkeypatch: pytest.MonkeyPatch,
    bounds: retention.Bounds,
    has_room: bool,
) -> None:
    monkeypatch.setitem(retention.BOUNDS, "config", bounds)
    fill(store, "config/a/b", "config/a/b", "config/c/d")
    assert store.past.has_room("config") is has_room


def test_a_change_that_touched_many_keys_goes_piece_by_piece(
    store: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nm_bus.storage.past.MOST_TOUCHED", 10)
    monkeypatch.setitem(retention.BOUNDS, "config", retention.Bounds(1, 1, 1, 2**30))
    store.keep_update(update(1), [f"member/m{number}" for number in range(34)])
    store.keep_update(update(2), [])
    left = [touched(store)]
    for event in range(1, 6):
        store.keep_position(structs.replace(store.position, height=event, revision=2))
        left.append(touched(store))
        assert store.position.kept_from == {"config": 1}, "it is incomplete from the first on"
    assert left == [36, 26, 16, 6, 1, 1]
    assert revisions(store.updates(0, 9)) == [2]


def touched(store: SqliteLedger) -> int:
    ((count,),) = store._file.rows("SELECT count(*) FROM touched")
    return int(count)


def test_what_is_whole_again_is_said_no_more(store: SqliteLedger) -> None:
    store.keep_since({"config": 7, "lock": 9})
    assert store.position.feed_from == 9
    store.keep_since({"lock": 0})
    assert store.position.kept_from == {"config": 7}
    store.keep_since({"config": 0})
    assert store.position.feed_from == 0


def test_how_much_is_kept_of_each_group_is_known_over_a_restart(path: Path) -> None:
    with closing(open_ledger(path)) as store:
        fill(store, "config/a/b", "lock/l", "session/p/s", "record/k/n")
        before = store.past._stocks
    with closing(open_ledger(path)) as store:
        assert store.past._stocks == before
        assert before["lock"].rows == 2
