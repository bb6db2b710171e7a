"""The state is read in the order of keys, and a snapshot is all of it."""

from itertools import islice
from typing import Any

from nm_bus.core.ledger.state import State
from nm_bus.messages import Entry
from nm_lab.samples.desk import Desk


def state(*keys: str) -> State:
    return State("p", epoch=1, revision=0, head="", entries=[Entry(key, {}, 0, "") for key in keys])


def keys(of: State, prefix: str, after: str = "") -> list[str]:
    return [entry.key for entry in of.under(prefix, after)]


def test_entries_come_in_the_order_of_their_keys_after_a_key() -> None:
    some = state("lock/b", "config/x/2", "config/x/1", "config/xy/1", "member/a")
    assert keys(some, "config/") == ["config/x/1", "config/x/2", "config/xy/1"]
    assert keys(some, "config/x/") == ["config/x/1", "config/x/2"]
    assert keys(some, "config/", "config/x/1") == ["config/x/2", "config/xy/1"]
    assert keys(some, "config/", "config/x/17") == ["config/x/2", "config/xy/1"]
    assert keys(some, "member/", "a") == ["member/a"]
    assert keys(some, "lock/", "z") == []
    assert keys(some, "") == sorted(some.entries)
    assert some.count("config/x/") == 2


class CountedKeys(list[str]):
    """Keys that count how many of them are read, one by one or in a slice."""

    reads = 0

    def __getitem__(self, at: Any) -> Any:
        self.reads += len(range(*at.indices(len(self)))) if isinstance(at, slice) else 1
        return super().__getitem__(at)


def test_a_page_reads_no_more_keys_than_it_has_entries() -> None:
    some = state(*(f"member/n{number:04}" for number in range(2_000)))
    some._keys = counted = CountedKeys(some._keys)
    page = islice(some.under("member/", "member/n0100"), 10)
    assert [entry.key for entry in page] == [f"member/n{number:04}" for number in range(101, 111)]
    assert counted.reads < 10 + 3 * 12, "those of the page, and three searches"


def test_put_and_drop_keep_the_order() -> None:
    some = state("lock/b")
    some.put(Entry("lock/a", {"n": 1}, 1, "x"))
    some.put(Entry("lock/a", {"n": 2}, 2, "x"))
    some.drop("lock/b")
    assert [(e.key, e.value) for e in some.under("lock/")] == [("lock/a", {"n": 2})]


def test_voters_and_standbys_are_those_of_the_entries() -> None:
    desk = Desk()
    assert desk.state.voters == {"s1.org#genesis", "s2.org#genesis", "s3.org#genesis"}
    desk.done("admin", "admit", "supernode/s4.org", {"incarnation": "x"})
    assert desk.state.standbys == {"s4.org#x"}
    desk.done("admin", "dismiss", "supernode/s1.org")
    assert desk.state.voters == {"s2.org#genesis", "s3.org#genesis"}


def test_a_snapshot_gives_the_same_state_and_shares_nothing_with_it() -> None:
    desk = Desk()
    desk.done("pub", "set", "config/search/a", {"content": "1"})
    desk.refused("pub", "set", "config/other/a", {"content": "1"})
    snapshot = desk.state.snapshot()
    again = State.of(snapshot)
    assert again == desk.state
    desk.done("pub", "set", "config/search/a", {"content": "2"})
    assert again.snapshot() == snapshot
    assert again != desk.state
