"""How long agreeing takes, in virtual time: the same figures on every machine."""

from statistics import mean, median

import pytest

from nm_bus.core.ledger.effects import Pace
from nm_lab.simulate.measures import (
    WAN,
    alive,
    idle_rate,
    last_author,
    latency,
    load,
    pause_when_the_author_dies,
    wide_area,
)

SEEDS = range(8)
ONE_WAY = mean(WAN)


def test_a_change_at_the_last_author_takes_one_round_trip_to_a_majority() -> None:
    took = []
    for seed in SEEDS:
        federation = wide_area(seed)
        took += [latency(federation, last_author(federation)) for _ in range(5)]

    assert median(took) < 2 * ONE_WAY


def test_a_change_anywhere_takes_less_than_five_ways() -> None:
    took = []
    for seed in SEEDS:
        federation = wide_area(seed)
        took += [latency(federation, federation.random.choice(alive(federation))) for _ in range(5)]

    assert median(took) < 4 * ONE_WAY < 5 * ONE_WAY


def test_two_dead_supernodes_of_five_stop_nobody() -> None:
    took = []
    for seed in SEEDS:
        federation = wide_area(seed)
        federation.kill(last_author(federation))
        federation.kill(federation.random.choice(alive(federation)))
        took += [latency(federation, federation.random.choice(alive(federation))) for _ in range(5)]

    assert median(took) < 5 * ONE_WAY
    assert max(took) < 10.0


def test_when_the_last_author_dies_the_pause_is_its_suspicion_and_a_little_more() -> None:
    pauses = [pause_when_the_author_dies(wide_area(seed)) for seed in SEEDS]
    pace = Pace()

    assert median(pauses) < pace.suspect + pace.delay
    assert max(pauses) < pace.suspect + 3 * pace.delay


def test_a_burst_of_changes_everywhere_is_agreed_in_batches() -> None:
    took = load(wide_area(1), each=20.0, seconds=10.0)

    assert len(took) > 500
    assert median(took) < 2.6


def test_at_rest_only_beats_are_said() -> None:
    assert idle_rate(wide_area(1)) == pytest.approx(10.0, rel=0.05)
