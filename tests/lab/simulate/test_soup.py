"""The agreement in a soup of messages; many more runs are `nm-bus simulate ledger`."""

import pytest

from nm_lab.simulate.planted import BUGS
from nm_lab.simulate.runs import run, try_seeds
from nm_lab.simulate.soup import KINDS

RUNS = 500
MOST = 2_000
"""How many runs a planted bug may take to be found."""


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_breaks_whatever_the_order_of_messages_and_crashes(kind: str) -> None:
    tried = try_seeds(kind, range(RUNS))

    assert tried.failure is None
    least = 0.5 if KINDS[kind].forgets else 2
    assert tried.decided > least * RUNS, "a soup in which nothing is decided proves nothing"


@pytest.mark.parametrize("bug", [bug for bug, made in BUGS.items() if made.kind in KINDS])
def test_a_planted_bug_is_found(bug: str) -> None:
    variant = BUGS[bug]

    assert try_seeds(variant.kind, range(MOST), variant).failure is not None


def test_a_seed_is_the_same_run_again_word_for_word() -> None:
    first, again = list[str](), list[str]()
    run("voters", 7, trace=first.append)
    run("voters", 7, trace=again.append)

    assert first == again
    assert len(first) > 100


def test_a_failure_is_found_again_by_its_seed() -> None:
    variant = BUGS["lowest-is-taken"]
    failure = try_seeds("plain", range(MOST), variant).failure
    assert failure is not None

    again = try_seeds("plain", [failure.seed], variant).failure

    assert again == failure
