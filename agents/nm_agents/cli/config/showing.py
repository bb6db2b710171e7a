"""How differences look: red and green on a terminal, plain lines in a pipe."""

from collections.abc import Iterable

from rich.text import Text

from nm_agents.cli.screen.console import screen
from nm_agents.cli.screen.printable import REPLACEMENT

STYLES = {"---": "bold", "+++": "bold", "@@": "cyan", "-": "red", "+": "green"}


def show_diff(lines: Iterable[str]) -> None:
    """Print a unified diff."""
    console = screen()
    for line in lines:
        style = next((s for start, s in STYLES.items() if line.startswith(start)), "")
        console.print(Text(visible(line), style=style), soft_wrap=True)


def visible(line: str) -> str:
    """A document's line without anything that moves a cursor; its own blanks stay."""
    return "".join(c if c.isprintable() or c in "\t\n" else REPLACEMENT for c in line)
