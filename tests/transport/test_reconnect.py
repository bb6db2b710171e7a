"""Pauses between attempts are bounded, jittered, and short again after a success."""

import random

from nm_bus.transport.reconnect import Pauses


def test_pauses_grow_to_a_bound() -> None:
    pauses = Pauses(0.5, 8.0, lambda: 1.0)
    assert [pauses.next() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_jitter_takes_at_most_half() -> None:
    pauses = Pauses(0.5, 8.0, lambda: 0.0)
    assert [pauses.next() for _ in range(6)] == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]


def test_a_success_makes_them_short_again() -> None:
    pauses = Pauses(0.5, 8.0, lambda: 1.0)
    for _ in range(2_000):
        pauses.next()
    pauses.reset()
    assert pauses.next() == 0.5


def test_many_who_lost_one_broker_spread_out() -> None:
    chance = random.Random(7)
    firsts = [Pauses(0.5, 8.0, chance.random).next() for _ in range(1_000)]
    assert 0.25 <= min(firsts) < 0.26
    assert 0.49 < max(firsts) <= 0.5
    assert len(set(firsts)) > 990
