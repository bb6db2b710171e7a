"""Tallies merge in any order and grouping; counters grow, begin again, and never run backwards."""

from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.rollup import Growth, Tally, growth, merge, rate, rollup, sample

values = st.floats(-1e12, 1e12)
samples = st.builds(sample, values, st.integers(0, 3600).map(float))
tallies = st.lists(samples, min_size=1, max_size=8).map(lambda many: reduce(merge, many))


def alike(one: Tally, other: Tally) -> bool:
    return one._replace(total=0) == other._replace(total=0) and one.total == pytest.approx(
        other.total, rel=1e-9, abs=1e-2
    )


@given(tallies, tallies)
def test_merging_needs_no_order(one: Tally, other: Tally) -> None:
    assert merge(one, other) == merge(other, one)


@given(tallies, tallies, tallies)
def test_merging_needs_no_grouping(one: Tally, two: Tally, three: Tally) -> None:
    assert alike(merge(merge(one, two), three), merge(one, merge(two, three)))


def test_the_last_value_is_last_by_sample_time() -> None:
    assert merge(sample(9, at=50), sample(1, at=20)).last == 9


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [
        (None, sample(5, 60), None),
        (sample(100, 30), sample(160, 60), Growth(60, 30)),
        (sample(100, 30), sample(100, 60), Growth(0, 30)),
        (sample(100, 30), sample(3, 60), None),  # it began again
        (sample(100, 30), merge(sample(3, 60), sample(900, 90)), None),  # and overtook itself
        (sample(100, 30), sample(160, 30), None),  # no time passed
    ],
)
def test_growth_is_what_a_counter_added_since(
    before: Tally | None, after: Tally, grown: Growth | None
) -> None:
    assert growth(before, after) == grown


@given(st.lists(tallies, min_size=2, max_size=8))
def test_a_rate_is_never_negative(many: list[Tally]) -> None:
    steps = [growth(before, after) for before, after in pairwise(many)]
    assert (rate(steps) or 0) >= 0


def test_a_rate_weighs_its_steps_by_their_time() -> None:
    assert rate([Growth(60, 60), None, Growth(0, 120)]) == pytest.approx(1 / 3)
    assert rate([None]) is None


def test_a_told_rollup_counts_its_time_from_the_windows_start() -> None:
    told = rollup(merge(sample(2, 1210.5), sample(4, 1240.25)), start=1200)
    assert (told.count, told.total, told.low, told.high, told.last, told.at) == (
        (2, 6, 2, 4, 4, 40.25)
    )
