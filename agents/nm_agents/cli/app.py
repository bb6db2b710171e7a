"""The command line put together from its table, and how all of its commands end."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from nm_agents.cli.table import ROWS, TABLE
from nm_agents.exits import MEANING, ended_well, exit_code
from nm_bus import __version__
from nm_bus.errors import NmBusError

# --- How a command's failure is worded: a slip in the command line, and an error for a program.

_WORDS = (
    (re.compile(r"^Value error, "), ""),
    (re.compile(r"^Input should be "), "it must be "),
    (re.compile(r", unable to parse .*$"), ""),
)
"""What the library of values says, and what is said instead."""


def plain(message: str) -> str:
    """A library's sentence on a wrong value, without words that only its authors understand."""
    for pattern, instead in _WORDS:
        message = pattern.sub(instead, message)
    return message


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for JSON; what follows two hyphens is somebody else's."""
    ours = words[: words.index("--")] if "--" in words else words
    asked = {"--json", "-ojson", "--format=json"}
    return not asked.isdisjoint(ours) or any(
        pair in (("-o", "json"), ("--format", "json")) for pair in pairwise(ours)
    )


def say_as_json(error: NmBusError) -> None:
    """The error as one line for a program, on standard output as every other answer."""
    from nm_agents.cli.screen.console import say  # noqa: PLC0415  a failure alone needs them
    from nm_agents.cli.screen.printable import as_json  # noqa: PLC0415

    code = getattr(error, "code", "")
    say(as_json({"error": str(error), "code": code, "exit": int(exit_code(error))}))


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
