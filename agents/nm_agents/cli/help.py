"""`nm-bus help`: what `--help` says, for those who type it first."""

from typing import Annotated

import typer


def help_on(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="As config put.")
    ] = None,
) -> None:
    """Show how a command is used; without a COMMAND, which commands there are.

    Example: nm-bus help config put

    Exit codes: 0 shown, 2 there is no such command.
    """
    root = context.find_root()
    root.command.main([*(words or ()), "--help"], root.info_name, standalone_mode=False)
