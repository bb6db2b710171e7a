"""The clock that never goes back."""

from hypothesis import given
from hypothesis import strategies as some

from nm_bus.core.ledger.hybrid import HybridClock

BOUND = 10_000


@given(some.lists(some.integers(min_value=0, max_value=1_000)))
def test_every_moment_is_after_the_one_before(times: list[int]) -> None:
    clock = HybridClock()

    moments = [clock.tick(now, BOUND) for now in times]

    assert moments == sorted(set(moments))


def test_it_shows_the_time_while_that_goes_on() -> None:
    clock = HybridClock()

    assert [clock.tick(now, BOUND) for now in (5, 9, 20)] == [5, 9, 20]


def test_what_was_seen_comes_before_what_happens_next() -> None:
    clock = HybridClock()
    clock.seen(50, now=10, bound=100)

    assert clock.tick(10, BOUND) == 51


def test_a_wild_clock_moves_nothing() -> None:
    clock = HybridClock()
    clock.seen(111, now=10, bound=100)

    assert clock.tick(10, BOUND) == 10


def test_an_older_moment_moves_nothing() -> None:
    clock = HybridClock(last=30)
    clock.seen(20, now=10, bound=100)

    assert clock.tick(10, BOUND) == 31


def test_a_clock_that_was_wrong_until_it_was_set_is_left_behind() -> None:
    clock = HybridClock(last=30 + BOUND + 1)

    assert clock.tick(30, BOUND) == 30
