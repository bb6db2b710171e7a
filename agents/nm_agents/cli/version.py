"""`nm-bus version`, and the option `--version`."""

import typer

from nm_bus import __version__


def print_version(wanted: bool) -> None:
    """Print the version and end, when it is wanted."""
    if wanted:
        typer.echo(f"nm-bus {__version__}")
        raise typer.Exit


def version() -> None:
    """Print the version of nm-bus.

    Example: nm-bus version

    Exit codes: 0 printed.
    """
    print_version(True)
