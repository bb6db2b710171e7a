"""`nm-bus config watch`: new versions of documents as they are agreed, each once and in order."""

import time
from contextlib import suppress
from typing import Annotated

import typer

from nm_agents.cli.options import Config, Json, connected
from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import say, warn
from nm_agents.cli.screen.printable import as_json, printable
from nm_bus.client import Quiet, Snapshot, Updates
from nm_bus.documents import content_of
from nm_bus.documents.names import PREFIX
from nm_bus.messages import Update

QUIET = 0.5
"""Seconds without an update after which the clock is looked at."""


def watch(
    context: typer.Context,
    component: Annotated[str, typer.Argument(metavar="[COMPONENT]", help="Only its own.")] = "",
    *,
    since: Annotated[
        int | None,
        typer.Option("--since", metavar="REV", min=0, help="First what came after this revision."),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="End after so many.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="End after this.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show new versions of documents as they are agreed, until Ctrl-C. Times are UTC.

    Each revision comes once, in order, verified by the ledger's chain, whichever supernodes fail.

    Example: nm-bus config watch thredds --count 1 --timeout 60

    Exit codes: 0 ended by itself, 2 something to correct, 3 no answer, 130 ended by Ctrl-C.
    """
    end = float("inf") if duration is None else time.monotonic() + duration
    with (
        connected(context, config, 10.0) as client,
        client.updates(component or None, since, quiet=QUIET) as updates,
    ):
        _show(updates, end, count, json)


def _show(updates: Updates, end: float, count: int | None, json: bool) -> None:
    shown = 0
    for item in updates:
        if isinstance(item, Update) and item.change.key.startswith(PREFIX):
            say(as_json(item) if json else line(item))
            shown += 1
        elif isinstance(item, Snapshot):
            warn(f"what came up to revision {item.at} is kept no more: going on there")
        if shown == count or (isinstance(item, Quiet | Update) and time.monotonic() >= end):
            return


def line(update: Update) -> str:
    """One update of a document as one line for a person."""
    change = update.change
    value = change.value or {}
    size = "?"
    with suppress(ValueError):
        size = figures.size(len(content_of(value)))
    what = "deleted" if change.kind == "delete" else size
    words = (change.key.removeprefix(PREFIX), what, f"by {change.actor}", value.get("note", ""))
    text = "  ".join(printable(str(word)) for word in words if word)
    return f"{figures.agreed(update.time)}  {update.revision:>8}  {text}"
