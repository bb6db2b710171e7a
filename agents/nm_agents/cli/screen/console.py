"""Where commands print: a terminal gets colours and its own width, a pipe plain unwrapped lines."""

import sys
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, RenderableType

from nm_agents.cli.screen.printable import printable

if TYPE_CHECKING:  # the client takes long to load, and who prints may not need it
    from nm_bus.client.carrier import Contact

PIPE_WIDTH = 500
"""Wide enough that no row of ours wraps: who reads a pipe cuts lines by itself."""


class Screen(Console):
    """A console that leaves a closed pipe to `exits.ended_well`, instead of exiting by itself."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def screen(file: TextIO | None = None, width: int | None = None) -> Screen:
    """The console for `file` (standard output unless given)."""
    file = file or sys.stdout
    terminal = file.isatty()
    return Screen(
        file=file,
        width=width if width or terminal else PIPE_WIDTH,
        no_color=None if terminal else True,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )


def show(console: Console, page: RenderableType) -> None:
    """Print a page; in a pipe without the blanks that fill up a terminal's lines."""
    if console.is_terminal:
        console.print(page)
        return
    with console.capture() as captured:
        console.print(page)
    for line in captured.get().splitlines():
        print(line.rstrip(), file=console.file)
    console.file.flush()


def say(line: str) -> None:
    """Print one line now, whoever reads."""
    print(line, flush=True)


def note(heard: "Contact") -> None:
    """Tell who watches that a supernode is heard or not: on standard error, beside the data."""
    because = f"not hearing {heard.supernode}: {heard.reason}"
    warn(because if heard.reason else f"hearing {heard.supernode}")


def warn(text: str) -> None:
    """Say something on standard error, beside the data."""
    print(f"# {printable(text)}", file=sys.stderr, flush=True)
