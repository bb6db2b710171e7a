"""What the commands that list things share: `-o`, `--sort`, and how a list is shown."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from nm_agents.cli.screen.console import PIPE_WIDTH, Screen, say, screen, show
from nm_agents.cli.screen.listing import ListView, in_order, listing
from nm_agents.cli.screen.printable import as_json, printable

T = TypeVar("T")


class ListForm(StrEnum):
    """In which form a list is shown."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    NAME = "name"


Output = Annotated[
    ListForm,
    typer.Option(
        "-o",
        "--format",
        metavar="FORM",
        show_default=False,
        help="wide: every column; json: as --json; name: names alone, one a line.",
    ),
]
Sort = Annotated[
    str,
    typer.Option("--sort", metavar="COLUMN", help="By this column; -COLUMN: the greatest first."),
]
Unhealthy = Annotated[bool, typer.Option("--unhealthy", help="Only what is not well.")]


def show_list(
    view: ListView[T],
    found: Sequence[T],
    none: str,
    form: ListForm,
    sort: str = "",
    *,
    json: bool = False,
) -> None:
    """Show what was found, or say that there is none."""
    found = in_order(view, found, sort)
    if json or form is ListForm.JSON:
        say(as_json(list(found), indent=True))
    elif form is ListForm.NAME:
        show_names(view.name(one) for one in found)
    elif not found:
        show(screen(), Text(none, style="dim"))
    else:
        console = screen_for(form)
        show(console, listing(view.fields, map(view.row, found), console.width))


def screen_for(form: ListForm) -> Screen:
    """Where a table is shown: a wide one leaves it to the terminal to wrap what does not fit."""
    return screen(width=PIPE_WIDTH if form is ListForm.WIDE else None)


def show_names(names: Iterable[str]) -> None:
    """Names alone, one a line."""
    for name in names:
        say(printable(name))
