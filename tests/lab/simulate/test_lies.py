"""Disks that forget and programs that differ; many more are `nm-bus simulate ledger`."""

import pytest

from nm_lab.simulate.lies import ForgetfulSchedule, SlipSchedule
from nm_lab.simulate.planted import BUGS
from nm_lab.simulate.runs import try_seeds
from nm_lab.simulate.variant import SOUND

RUNS = {"slips": 30, "forgetting": 20}
MOST = 100


@pytest.mark.parametrize("kind", RUNS)
def test_who_goes_on_has_one_history_and_nobody_stops_without_a_cause(kind: str) -> None:
    tried = try_seeds(kind, range(RUNS[kind]))

    assert tried.failure is None
    assert tried.decided > 5 * RUNS[kind]


def test_programs_do_slip_and_disks_do_forget() -> None:
    slips = [SlipSchedule(seed, SOUND) for seed in range(10)]
    forgetful = [ForgetfulSchedule(seed, SOUND) for seed in range(20)]
    for schedule in (*slips, *forgetful):
        schedule.run()

    stopped = [sum(bool(node.reason) for node in each.nodes) for each in slips]
    assert stopped.count(1) >= 5
    assert any(node.reason for each in forgetful for node in each.nodes)


@pytest.mark.parametrize("bug", [bug for bug, made in BUGS.items() if made.kind in RUNS])
def test_a_planted_bug_is_found(bug: str) -> None:
    variant = BUGS[bug]

    assert try_seeds(variant.kind, range(MOST), variant).failure is not None
