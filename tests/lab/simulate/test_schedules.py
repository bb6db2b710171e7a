"""Faults in virtual time; many more are `nm-bus simulate ledger --kind schedules`."""

import pytest

from nm_lab.simulate.planted import BUGS
from nm_lab.simulate.runs import run, try_seeds

RUNS = {"schedules": 20, "state": 5}
MOST = 200

FOUND = {"keeps-its-changes": 68, "never-resends": 1, "never-fetches": 0}
"""Where to begin to look for a planted bug: rare ones would take long from the first seed."""


@pytest.mark.parametrize("kind", RUNS)
def test_no_rule_breaks_under_faults_and_after_healing_all_is_agreed(kind: str) -> None:
    tried = try_seeds(kind, range(RUNS[kind]))

    assert tried.failure is None
    assert tried.decided > 10 * RUNS[kind]


@pytest.mark.parametrize(("bug", "first"), FOUND.items())
def test_a_planted_bug_that_stops_agreement_is_found(bug: str, first: int) -> None:
    tried = try_seeds("schedules", range(first, first + MOST), BUGS[bug])

    assert tried.failure is not None
    assert tried.failure.rule == "healed means agreed"


def test_a_schedule_is_the_same_again() -> None:
    first, again = list[str](), list[str]()

    assert run("schedules", 3, trace=first.append) == run("schedules", 3, trace=again.append)
    assert first == again
