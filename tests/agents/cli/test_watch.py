"""A full screen in a real terminal: keys, its end, and the terminal as it was before."""

import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from select import select
from typing import Any

import pytest

WATCH = """
from nm_agents.cli.screen.refresh import Latest, watch_screen
from rich.text import Text

def draw(value, console, look):
    lines = [f"line {n}" for n in range(100) if look.filter in f"line {n}"]
    return Text("\\n".join([f"sort={look.sort}.", *lines]))

watch_screen(Latest(lambda: 1), draw, ("name",))
print("after", flush=True)
"""

ENOUGH = 60.0
"""Seconds in which anything that is waited for has come, on the slowest machine."""


class Terminal:
    """A program in a terminal of 40 columns and 10 lines."""

    def __init__(self, command: list[str]) -> None:
        self.ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (10, 40))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "40", "LINES": "10"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def until(self, pattern: str) -> str:
        """What the program writes until the pattern comes; fails when it does not."""
        seen = ""
        while not re.search(pattern, seen, re.DOTALL):
            assert select([self.ours], [], [], ENOUGH)[0], seen
            seen += os.read(self.ours, 65_536).decode(errors="replace")
        return seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal([sys.executable, "-c", WATCH])
    yield made
    made.close()


def modes(terminal: Terminal) -> Any:
    return termios.tcgetattr(terminal.theirs)[:4]


def test_a_screen_scrolls_filters_sorts_and_ends_by_keys(terminal: Terminal) -> None:
    terminal.until("more lines")
    terminal.press("G")
    terminal.until("line 99")
    terminal.press("s")
    terminal.press("g")
    terminal.until("sort=name")
    terminal.press("/99\r")
    seen = terminal.until("filter: 99")
    assert "line 99" in seen
    terminal.press("q")
    terminal.until("after")
    assert terminal.process.wait(ENOUGH) == 0
    assert modes(terminal) == terminal.before[:4]


def test_ctrl_c_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.until("more lines")
    assert modes(terminal) != terminal.before[:4]
    terminal.process.send_signal(2)
    assert terminal.process.wait(ENOUGH) != 0
    assert modes(terminal) == terminal.before[:4]
