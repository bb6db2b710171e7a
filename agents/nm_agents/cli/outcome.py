"""`nm-bus outcome ID`: what became of a change that was accepted, and not agreed at once."""

from typing import Annotated

import msgspec
import typer

from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen.console import say
from nm_agents.cli.screen.printable import as_json, printable
from nm_agents.cli.waiting import looked
from nm_agents.exits import Exit
from nm_bus.messages import Proposed

FINAL = frozenset({"agreed", "refused"})
UNKNOWN = "unknown"
"""No supernode that answers knows it: it may wait at one that does not, or be long forgotten."""

EXITS = {"agreed": Exit.OK, "refused": Exit.CONFIG}


def outcome(
    context: typer.Context,
    change: Annotated[
        str, typer.Argument(metavar="ID", help="As `accepted, not agreed yet (id ...)` gives it.")
    ],
    *,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="For it to be decided.")
    ] = 0.0,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show what became of a change: agreed at its revision, refused, or waiting still.

    Example: nm-bus outcome me.llnl.gov/cfcba9a5cfd40f8c/1 --wait 60

    Exit codes: 0 agreed, 2 refused or something to correct, 3 not decided, not known, or no
    answer.
    """
    with connected(context, config, timeout) as client:
        found = looked(lambda: client.outcome(change), _is_final, wait)
    told = found or Proposed(change, UNKNOWN)
    say(as_json(msgspec.to_builtins(told)) if json else f"{printable(change)}: {_words(told)}")
    raise typer.Exit(EXITS.get(told.state, Exit.LATER))


def _is_final(proposed: Proposed | None) -> bool:
    return proposed is not None and proposed.state in FINAL


def _words(told: Proposed) -> str:
    match told.state:
        case "agreed":
            return f"agreed at revision {told.revision}"
        case "refused":
            return f"refused: {printable(told.reason or told.code)}"
        case "accepted":
            return "accepted, not agreed yet; a majority of the voters must answer"
    return "no supernode that answers knows it; if it was accepted, ask again with --wait"
