"""`nm-bus simulate`: the agreement of supernodes under fire, run after run, on this machine."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nm_agents.cli.options import Json
from nm_agents.cli.screen.console import say, screen, warn
from nm_agents.cli.screen.printable import as_json
from nm_agents.exits import Exit

if TYPE_CHECKING:
    from nm_lab.simulate.runs import FailedRun, Tried

simulate = typer.Typer(help="The ledger's agreement under fire.", no_args_is_help=True)

ALL = "all"


@simulate.callback()
def _only_a_group() -> None:
    """Simulations that look for the one order of events which breaks a promise."""


@simulate.command()
def ledger(
    *,
    kind: Annotated[
        str,
        typer.Option("--kind", help="One of those below, or all of them."),
    ] = ALL,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Runs of each kind.")
    ] = 1_000,
    first: Annotated[int, typer.Option("--from", metavar="SEED", min=0, help="The first.")] = 0,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="J", min=1, help="Processes (else one a processor).")
    ] = os.cpu_count() or 1,
    planted: Annotated[
        str, typer.Option("--planted", metavar="BUG", help="Put a bug in that must be found.")
    ] = "",
    trace: Annotated[
        bool, typer.Option("--trace", help="Make one run, --from SEED, and tell all of it.")
    ] = False,
    json: Json = False,
) -> None:
    """Simulate supernodes that agree, and hold every message and every disk to the rules.

    `plain`, `voters` (which change) and `snapshots` are soups of messages: any order, losses,
    repetition, crashes at every moment; in `beginnings` one of the voters began with another
    project file. `schedules` are faults in virtual time, after which all
    must agree; `state` is the same with the ledger's real state. In `slips` one program computes
    something else, in `forgetting` disks lose their last write: who goes on has one history.

    Example: nm-bus simulate ledger --kind voters --seeds 40000

    Exit codes: 0 no rule broke, 1 one did (its seed and how to see it again is shown), 2 bad usage.
    """
    from nm_lab.simulate.runs import hunt  # noqa: PLC0415  slow to load

    kinds = _kinds(kind, planted)
    if trace:
        _replay(kinds[0], first, planted)
        return
    began = time.monotonic()
    tried: dict[str, Tried] = {}
    for each in kinds:
        with _progress(each, seeds) as told:
            tried[each] = hunt(each, range(first, first + seeds), planted, jobs, told)
        if not json:
            say(_line(each, tried[each]))
        if tried[each].failure is not None:
            break
    if json:
        say(as_json(_as_data(tried, time.monotonic() - began), indent=True))
    _verdict(tried, planted, json)


def _kinds(kind: str, planted: str) -> list[str]:
    """Those asked for; a planted bug has one in which it shows best."""
    from nm_lab.simulate.planted import BUGS  # noqa: PLC0415  slow to load
    from nm_lab.simulate.runs import SORTS  # noqa: PLC0415

    if planted and planted not in BUGS:
        raise typer.BadParameter(f"there is no bug {planted!r}; there are {', '.join(BUGS)}")
    if kind not in (*SORTS, ALL):
        raise typer.BadParameter(f"there is no kind {kind!r}; there are {', '.join(SORTS)}, {ALL}")
    if kind != ALL:
        return [kind]
    return [BUGS[planted].kind] if planted else list(SORTS)


def _replay(kind: str, seed: int, planted: str) -> None:
    """Tell one run word for word."""
    from nm_lab.simulate.monitor import RuleBrokenError  # noqa: PLC0415  slow to load
    from nm_lab.simulate.planted import BUGS  # noqa: PLC0415
    from nm_lab.simulate.runs import run  # noqa: PLC0415
    from nm_lab.simulate.variant import SOUND  # noqa: PLC0415

    try:
        decided = run(kind, seed, BUGS.get(planted, SOUND), say)
    except RuleBrokenError as broken:
        say(f"broken: {broken}")
        raise typer.Exit(Exit.NEGATIVE) from None
    say(f"no rule broke; {decided} slots were decided")


def _verdict(tried: "dict[str, Tried]", planted: str, json: bool) -> None:
    for one in tried.values():
        if one.failure is not None:
            if not json:
                say(f"broken: {one.failure.what}")
                say(f"see it: {_again(one.failure, planted)}")
            raise typer.Exit(Exit.NEGATIVE)


def _again(failure: "FailedRun", planted: str) -> str:
    bug = f" --planted {planted}" if planted else ""
    return f"nm-bus simulate ledger --kind {failure.kind} --from {failure.seed} --trace{bug}"


def _line(kind: str, tried: "Tried") -> str:
    if tried.failure is not None:
        return f"{kind}: seed {tried.failure.seed} breaks a rule, after {tried.runs} runs"
    return f"{kind}: {tried.runs} runs, {tried.decided} slots decided, no rule broke"


def _as_data(tried: "dict[str, Tried]", seconds: float) -> dict[str, object]:
    kinds = {kind: asdict(one) for kind, one in tried.items()}
    return {"kinds": kinds, "seconds": round(seconds, 1)}


@contextmanager
def _progress(kind: str, runs: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, one line elsewhere."""
    from rich.progress import Progress  # noqa: PLC0415  slow to load

    errors = screen(sys.stderr)
    if not errors.is_terminal:
        warn(f"{kind}: {runs} runs ...")
        yield lambda _: None
        return
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task(kind, total=runs)
        yield lambda more: progress.advance(task, more)
