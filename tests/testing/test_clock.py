"""Virtual time passes in order, and only when it is let."""

from functools import partial

import pytest

from nm_bus.testing.clock import START, VirtualClock


def test_calls_are_made_at_their_moment_in_the_order_of_asking() -> None:
    clock, made = VirtualClock(), list[tuple[str, float]]()

    def note(name: str) -> None:
        made.append((name, clock.now() - START))

    for name, delay in (("late", 2.0), ("first", 1.0), ("second", 1.0), ("never", 5.0)):
        clock.later(delay, partial(note, name))
    clock.advance(3.0)
    assert made == [("first", 1.0), ("second", 1.0), ("late", 2.0)]
    assert clock.now() == START + 3.0


def test_a_cancelled_call_is_not_made() -> None:
    clock, made = VirtualClock(), list[int]()
    timer = clock.later(1.0, lambda: made.append(1))
    timer.cancel()
    timer.cancel()
    clock.advance(2.0)
    assert made == []


def test_run_stops_as_soon_as_it_is_true() -> None:
    clock, made = VirtualClock(), list[int]()
    for n in range(1, 10):
        clock.later(n, lambda: made.append(1))
    clock.run(lambda: len(made) == 3)
    assert clock.now() == START + 3


def test_run_fails_when_it_never_becomes_true() -> None:
    clock = VirtualClock()
    clock.later(10.0, lambda: None)
    with pytest.raises(TimeoutError):
        clock.run(lambda: False, limit=5.0)
    with pytest.raises(TimeoutError):
        clock.run(lambda: False, limit=50.0)
