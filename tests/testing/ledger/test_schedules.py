"""Faults in virtual time; many more are `nm-bus simulate ledger --kind schedules`."""

import pytest

from nm_bus.testing.ledger.runs import TIMED, run, try_seeds

RUNS = {"schedules": 20, "state": 5}


@pytest.mark.parametrize("kind", TIMED)
def test_no_rule_breaks_under_faults_and_after_healing_all_is_agreed(kind: str) -> None:
    tried = try_seeds(kind, range(RUNS[kind]))

    assert tried.failure is None
    assert tried.decided > 10 * RUNS[kind]


def test_a_schedule_is_the_same_again() -> None:
    first, again = list[str](), list[str]()

    assert run("schedules", 3, trace=first.append) == run("schedules", 3, trace=again.append)
    assert first == again
