"""What one decision may hold."""

from hypothesis import given
from hypothesis import strategies as some

from nm_bus.core.ledger.batches import FAR_AHEAD, fill, is_far_ahead, order
from nm_bus.core.ledger.chain import canonical
from nm_bus.messages import Change


def _change(number: int, timestamp: int = 0, supernode: str = "a", text: str = "") -> Change:
    return Change(
        f"p/1/{number}",
        "p",
        "set",
        "k",
        value={"content": text},
        timestamp=timestamp,
        supernode=supernode,
    )


def test_the_time_comes_first_then_the_supernode_then_the_change() -> None:
    late, later = _change(1, 2, "a"), _change(1, 3, "a")
    here, there = _change(2, 1, "a"), _change(1, 1, "b")
    second = _change(3, 1, "a")

    assert fill([later, second, there, late, here]) == (here, second, there, late, later)


@given(some.permutations([_change(n, n % 3, "ab"[n % 2]) for n in range(8)]))
def test_the_order_in_which_changes_came_does_not_matter(changes: list[Change]) -> None:
    assert fill(changes) == tuple(sorted(changes, key=order))


def test_a_batch_holds_so_many_changes_and_not_one_more() -> None:
    changes = [_change(n, n) for n in range(5)]

    assert fill(changes, count=3) == tuple(changes[:3])


def test_a_batch_holds_so_many_bytes_and_not_one_more() -> None:
    changes = [_change(n, n + 1) for n in range(5)]
    size = len(canonical(changes[0])) + 1

    assert fill(changes, size=2 * size) == tuple(changes[:2])
    assert fill(changes, size=2 * size - 1) == tuple(changes[:1])


def test_one_change_always_fits() -> None:
    large = _change(1, text="x" * 100)

    assert fill([large], size=10) == (large,)


def test_nothing_waiting_is_an_empty_batch() -> None:
    assert fill([]) == ()


def test_a_clock_is_wild_beyond_the_bound_and_not_at_it() -> None:
    assert not is_far_ahead(_change(1, FAR_AHEAD + 5), 5)
    assert is_far_ahead(_change(1, FAR_AHEAD + 6), 5)
