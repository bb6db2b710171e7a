"""Before a command does what cannot be taken back: it asks, once and alike everywhere."""

import sys
from typing import Annotated

import typer

from nm_agents.cli.screen.console import say
from nm_agents.exits import Exit
from nm_bus.errors import ConfigError

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def confirm(what: str, *, yes: bool, dry_run: bool = False) -> None:
    """Return once it is clear that `what` is wanted; a sentence without its full stop.

    Ends with 0 after a dry run and with 1 after a no. Raises ConfigError where nobody can answer.
    """
    if dry_run:
        say(f"{what}. Nothing was changed.")
        raise typer.Exit(Exit.OK)
    if yes:
        return
    if not is_at_a_terminal():
        raise ConfigError("not done", what, "give --yes to do it, or --dry-run to look")
    if not typer.confirm(f"{what}. Go on?", err=True):
        raise typer.Exit(Exit.NEGATIVE)


def is_at_a_terminal() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty()
