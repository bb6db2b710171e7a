"""`nm-bus config publish`: a folder of documents that are published as they are saved."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from nm_agents.cli.config.arguments import ForceOption
from nm_agents.cli.config.showing import show_diff
from nm_agents.cli.options import Config, Json, connected
from nm_agents.cli.screen.console import say, warn
from nm_agents.cli.screen.printable import as_json, printable
from nm_agents.exits import Exit, on_sigterm
from nm_agents.folder import own_folder
from nm_agents.publishing.memory import remembered
from nm_agents.publishing.program import PublishingLoop, noticing
from nm_agents.publishing.publisher import FolderPublisher
from nm_agents.publishing.told import Happened
from nm_bus.core.settling import Rest
from nm_bus.errors import ConfigError

LOCK = ".nm-bus-publish.lock"
ANSWER = 20.0
"""Seconds that a change may take to be agreed before it is told as accepted only."""


def publish(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Holds COMPONENT/NAME, as config.d.")
    ],
    *,
    once: Annotated[bool, typer.Option("--once", help="Publish what is there, then end.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change, then end.")
    ] = False,
    settle: Annotated[
        float,
        typer.Option("--settle", metavar="SECONDS", min=0.1, help="How long a file must rest."),
    ] = 2.0,
    force: ForceOption = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="A vanished folder deletes its documents.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Publish a folder's files as they are saved: a service, or with --once a command.

    FOLDER/COMPONENT/NAME becomes the document NAME of COMPONENT once it is valid and has not
    changed for a moment; a deleted file deletes its document. A refused file gets its reason
    beside it (.NAME.refused). What somebody else changed meanwhile is never written over.

    Example: nm-bus config publish /var/lib/nm-bus/cmip6/config.d --dry-run

    Exit codes: 0 ended in good order, 1 with --once or --dry-run: something was refused,
    2 something to correct, 3 accepted only, or no answer.
    """
    if not folder.is_dir():
        raise ConfigError(folder, "no such folder", "make it, with a folder in it per component")
    alone = nullcontext() if dry_run else own_folder(folder, LOCK)
    with alone, connected(context, config, ANSWER) as client:
        publisher = FolderPublisher(
            folder,
            client,
            remembered(folder, client.settings.project, writes=not dry_run),
            Rest(settle),
            time.monotonic,
            _as_json if json else _as_lines,
            dry=dry_run,
            force=force,
            allow_empty=allow_empty,
            why_not=client.why_not,
        )
        _run(PublishingLoop(publisher, warn), folder, once=once or dry_run)
    raise typer.Exit(_exit(publisher) if once or dry_run else Exit.OK)


def _exit(publisher: FolderPublisher) -> Exit:
    if publisher.reasons.refused:
        return Exit.NEGATIVE
    return Exit.LATER if publisher.undecided else Exit.OK


def _run(loop: PublishingLoop, folder: Path, *, once: bool) -> None:
    with on_sigterm(loop.stop):
        if once:
            loop.once()
            return
        with noticing(folder, loop.notice, warn):
            loop.forever()


def _as_lines(told: Happened) -> None:
    text = f": {printable(told.text)}" if told.text else ""
    say(f"{told.what} {printable(told.key)}{text}")
    show_diff(told.lines)


def _as_json(told: Happened) -> None:
    say(
        as_json(
            {
                "what": told.what,
                "key": told.key,
                "text": told.text,
                "revision": told.revision,
                "diff": told.lines,
            }
        )
    )
