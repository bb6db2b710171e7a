"""A sequence number counts once, in whatever order the numbers come."""

from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.seen import LIVES, RANGES, Seen
from nm_bus.core.sequence import LARGEST_JUMP, Novelty


def test_numbers_in_order_are_one_range() -> None:
    seen = Seen()
    assert seen.accept("a", 1) is Novelty.RESTARTED
    assert all(seen.accept("a", n) is Novelty.NEXT for n in range(2, 1_000))
    assert seen.lives == {"a": [[1, 999]]}


def test_what_waited_in_a_spool_counts_after_what_was_fresh() -> None:
    seen = Seen()
    seen.accept("a", 1)
    assert seen.accept("a", 10) is Novelty.NEXT
    assert [seen.accept("a", n) for n in range(2, 10)] == [Novelty.NEXT] * 8
    assert seen.lives == {"a": [[1, 10]]}


def test_what_was_taken_and_what_is_missing_is_known() -> None:
    seen = Seen()
    for number in (1, 2, 7):
        seen.accept("a", number)
    assert (seen.taken("a"), seen.missing("a")) == (3, 4)
    assert (seen.taken("b"), seen.missing("b")) == (0, 0)


def test_a_spool_outlives_the_agent_that_filled_it() -> None:
    seen = Seen()
    seen.accept("old", 1)
    seen.accept("new", 1)
    assert seen.accept("old", 2) is Novelty.NEXT
    assert seen.accept("old", 2) is Novelty.REPEATED


def test_a_leap_beyond_what_anyone_can_count_is_not_taken() -> None:
    seen = Seen()
    seen.accept("a", 1)
    assert seen.accept("a", 2 + LARGEST_JUMP) is Novelty.FAR
    assert seen.accept("a", 2) is Novelty.NEXT


@given(st.lists(st.integers(1, 40), min_size=1, max_size=200))
def test_every_number_counts_exactly_once(numbers: list[int]) -> None:
    seen, taken = Seen(), set[int]()
    for number in numbers:
        novelty = seen.accept("a", number)
        assert (novelty is Novelty.REPEATED) == (number in taken)
        taken.add(number)
    covered = {n for low, high in seen.lives["a"] for n in range(low, high + 1)}
    assert covered == taken


def test_what_is_kept_is_bounded_and_never_counts_twice() -> None:
    seen = Seen()
    for number in range(1, 1_000, 2):
        seen.accept("a", number)
    assert len(seen.lives["a"]) == RANGES
    assert all(seen.accept("a", n) is Novelty.REPEATED for n in range(1, 1_000, 2))
    for life in range(100):
        seen.accept(f"life {life}", 1)
    assert len(seen.lives) == LIVES
