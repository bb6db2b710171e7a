"""Runs by their kind and seed: one of them, or many until the first one that breaks a rule."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice

from nm_lab.simulate.lies import ForgetfulSchedule, ForgetfulSoup, SlipSchedule
from nm_lab.simulate.monitor import RuleBrokenError
from nm_lab.simulate.planted import BUGS
from nm_lab.simulate.realstate import RealState
from nm_lab.simulate.schedules import Schedule
from nm_lab.simulate.soup import KINDS, Soup
from nm_lab.simulate.variant import SOUND, Variant

SCHEDULES: dict[str, type[Schedule]] = {
    "schedules": Schedule,
    "state": Schedule,
    "slips": SlipSchedule,
    "forgetting": ForgetfulSchedule,
}

TIMED = tuple(SCHEDULES)
"""Kinds that take virtual time: of the smallest machine, of the ledger's own state, with a program
that computes something else, and with disks that forget."""

SORTS = (*KINDS, *TIMED)
"""All kinds of runs."""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that broke a rule, and where."""

    kind: str
    seed: int
    rule: str
    what: str


def run(
    kind: str, seed: int, variant: Variant = SOUND, trace: Callable[[str], None] | None = None
) -> int:
    """One run; gives how many slots it decided. Raises RuleBrokenError."""
    if kind == "state":
        variant = replace(variant, tally=RealState, truth=RealState)
    made = _made(kind, seed, variant, trace)
    made.run()
    return made.decided


def _made(
    kind: str, seed: int, variant: Variant, trace: Callable[[str], None] | None
) -> Schedule | Soup:
    if kind in TIMED:
        return SCHEDULES[kind](seed, variant, trace)
    soup = ForgetfulSoup if KINDS[kind].forgets else Soup
    return soup(seed, KINDS[kind], variant, trace)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of some runs: how many, how many slots they decided, and the first failure."""

    runs: int
    decided: int
    failure: FailedRun | None = None


def try_seeds(kind: str, seeds: Iterable[int], variant: Variant = SOUND) -> Tried:
    """Runs of one kind, one after the other, until one breaks a rule."""
    runs = decided = 0
    for seed in seeds:
        runs += 1
        try:
            decided += run(kind, seed, variant)
        except RuleBrokenError as broken:
            return Tried(runs, decided, FailedRun(kind, seed, broken.rule, str(broken)))
    return Tried(runs, decided)


# --- Many runs in several processes, until one of them breaks a rule.

Told = Callable[[int], None]
"""Is told how many more runs were made."""


def hunt(kind: str, seeds: range, bug: str, jobs: int, told: Told) -> Tried:
    """Try seeds, with the bug of this name or none; gives the lowest seed that failed.

    Seeds above a failing one may be left out.
    """
    size = 5 if kind in TIMED else 50
    parts = (seeds[n : n + size] for n in range(0, len(seeds), size))
    done: list[Tried] = []
    running: set[Future[Tried]] = set()
    with ProcessPoolExecutor(jobs) as pool:
        while True:
            if not any(tried.failure for tried in done):
                more = islice(parts, 2 * jobs - len(running))
                running |= {pool.submit(_try, kind, part, bug) for part in more}
            if not running:
                return _together(done)
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                done.append(future.result())
                told(done[-1].runs)


def _try(kind: str, seeds: range, bug: str) -> Tried:
    return try_seeds(kind, seeds, BUGS.get(bug, SOUND))


def _together(done: list[Tried]) -> Tried:
    failures = [tried.failure for tried in done if tried.failure is not None]
    return Tried(
        sum(tried.runs for tried in done),
        sum(tried.decided for tried in done),
        min(failures, key=lambda failure: failure.seed, default=None),
    )
