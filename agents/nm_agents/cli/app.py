"""The command line put together from its table, and how all of its commands end."""

import sys
from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from nm_agents.cli.mistakes import plain, say_as_json, wants_json
from nm_agents.cli.table import ROWS, TABLE
from nm_agents.exits import MEANING, ended_well
from nm_bus import __version__
from nm_bus.errors import NmBusError

# --- `nm-bus version`, and the option `--version`.


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


class Shelf(Mapping[str, Any]):
    """The commands by name. Taking one imports its module; looking which there are does not."""

    def __init__(self) -> None:
        self._taken: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._taken:
            # A row's command, out of its module.
            row = ROWS[name]
            around = typer.Typer(rich_markup_mode=None)
            around.callback()(_only_a_group)
            found = resolve_name(row.place)
            if isinstance(found, typer.Typer):
                around.add_typer(found, name=row.name, short_help=row.summary)
            else:
                around.command(row.name, short_help=row.summary)(found)
            command: Any = get_group(around).commands[row.name]
            self._taken[name] = command
        return self._taken[name]

    def __contains__(self, name: object) -> bool:
        return name in ROWS

    def __iter__(self) -> Iterator[str]:
        return iter(ROWS)

    def __len__(self) -> int:
        return len(ROWS)


def _only_a_group() -> None:
    """A group of one command would be that command."""


class Commands(TyperGroup):
    """The commands of nm-bus. An error of ours ends any of them with one sentence."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = Shelf()

    def invoke(self, ctx: Any) -> Any:
        """Run a command; who asked for JSON gets the reason of a failure as JSON too."""
        words = (*ctx._protected_args, *ctx.args)
        with ended_well():
            try:
                return super().invoke(ctx)
            except typer.BadParameter as error:
                error.message = plain(error.message)
                raise
            except NmBusError as error:
                if wants_json(words):
                    say_as_json(error)
                raise

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by who uses them, out of the table alone."""
        width = max(map(len, ROWS))
        for users, rows in TABLE.items():
            with formatter.section(users):
                formatter.write_dl([(row.name.ljust(width), row.summary) for row in rows])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete the name of a command out of the table alone: Tab must not wait."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        listed = [TyperCommand(row.name, short_help=row.summary) for row in ROWS.values()]
        return TyperGroup(commands=listed).shell_complete(ctx, incomplete)


app = typer.Typer(
    cls=Commands,
    help="nm-bus: the node manager of a federation, as messages.",
    epilog=MEANING,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _first(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=print_version, help="Say the version."),
    ] = False,
) -> None:
    """Nothing on the way to a command may fail on a character that the terminal lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")
