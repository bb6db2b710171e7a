"""Many runs in several processes, until one of them breaks a rule."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice

from nm_lab.simulate.planted import BUGS
from nm_lab.simulate.runs import TIMED, Tried, try_seeds
from nm_lab.simulate.variant import SOUND

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
