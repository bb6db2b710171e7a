"""A principal's pace: a burst, a steady rate, and nobody pays for another."""

import pytest

from nm_bus.core.rate import Rate

FLOODER, OTHER = "flooder.example.org", "other.example.org"


def allowed(rate: Rate, times: int, now: float, who: str = FLOODER) -> int:
    return sum(rate.allows(who, now) for _ in range(times))


@pytest.mark.parametrize(
    ("pause", "more"),
    [(0.0, 0), (0.04, 0), (0.0625, 1), (1.0, 16), (3.125, 50), (1000.0, 50)],
)
def test_after_a_burst_as_many_are_allowed_as_time_has_brought(pause: float, more: int) -> None:
    rate = Rate(burst=50, per_second=16)
    assert allowed(rate, 60, now=100.0) == 50
    assert allowed(rate, 60, now=100.0 + pause) == more


def test_a_steady_pace_within_the_rate_is_never_refused() -> None:
    rate = Rate(burst=2, per_second=4)
    assert all(rate.allows(FLOODER, n / 4) for n in range(1000))


def test_who_goes_on_flooding_is_not_shut_out() -> None:
    rate = Rate(burst=4, per_second=4)
    taken = [rate.allows(FLOODER, n / 64) for n in range(640)]
    assert sum(taken[64:]) == 36


def test_one_who_floods_does_not_slow_another() -> None:
    rate = Rate(burst=5, per_second=1)
    assert allowed(rate, 1000, now=0.0) == 5
    assert allowed(rate, 5, now=0.0, who=OTHER) == 5


def test_who_rests_is_forgotten() -> None:
    rate = Rate(burst=5, per_second=1)
    for n in range(1000):
        rate.allows(f"n{n}.example.org", now=0.0)
    assert len(rate) == 1000
    rate.allows(OTHER, now=5.0)
    assert len(rate) == 1


def test_what_costs_more_is_allowed_less_often() -> None:
    rate = Rate(burst=50, per_second=20.0)
    assert [rate.allows("a", 0.0, 10.0) for _ in range(6)] == [True] * 5 + [False]
    assert not rate.allows("a", 0.4, 10.0)
    assert rate.allows("a", 0.5, 10.0)
    assert rate.allows("b", 0.5)
