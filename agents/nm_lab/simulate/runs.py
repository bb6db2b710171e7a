"""Runs by their kind and seed: one of them, or many until the first one that breaks a rule."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from nm_lab.simulate.monitor import RuleBrokenError
from nm_lab.simulate.realstate import RealState
from nm_lab.simulate.schedules import Schedule
from nm_lab.simulate.soup import KINDS, Soup
from nm_lab.simulate.variant import SOUND, Variant

TIMED = ("schedules", "state")
"""Kinds that take virtual time: of the smallest machine, and of the ledger's own state."""

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
    made = (
        Schedule(seed, variant, trace) if kind in TIMED else Soup(seed, KINDS[kind], variant, trace)
    )
    made.run()
    return made.decided


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
