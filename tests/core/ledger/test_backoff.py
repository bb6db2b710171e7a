import pytest

from nm_bus.core.ledger.backoff import MOST_DOUBLINGS, Backoff


def wait(backoff: Backoff, delay: float = 1.0) -> float:
    """How long it takes from the first question until it is over, in tenths."""
    return next(n / 10 for n in range(1_000) if backoff.is_over(n / 10, delay))


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0)])
def test_the_first_wait_is_one_to_two_delays_by_chance(chance: float, seconds: float) -> None:
    assert wait(Backoff(lambda: chance)) == seconds


def test_it_doubles_with_each_refusal_and_not_for_ever() -> None:
    backoff = Backoff(lambda: 1.0)
    waits = []
    for _ in range(MOST_DOUBLINGS + 2):
        backoff.refused()
        waits.append(wait(backoff))
    assert waits == [3.0, 5.0, 9.0, 17.0, 17.0, 17.0]


def test_another_slot_begins_with_a_short_wait() -> None:
    backoff = Backoff(lambda: 1.0)
    backoff.refused()
    backoff.reset()
    assert wait(backoff) == 2.0


def test_a_slot_that_moved_is_waited_for_again() -> None:
    backoff = Backoff(lambda: 0.0)
    assert not backoff.is_over(0.0, 1.0)
    backoff.restart()
    assert not backoff.is_over(1.0, 1.0)
    assert backoff.is_over(2.0, 1.0)
