"""What `--watch` means: fetched again every two seconds, and kept while nobody answers."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, NoReturn, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.segment import Segment, SegmentLines
from rich.text import Text

from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.keys import Keyboard, PageView, footer, keyboard, pressed
from nm_agents.cli.screen.printable import as_json, cell, printable
from nm_bus.errors import ConnectionLostError, TimedOutError
from nm_bus.messages import Seconds

REFRESH: Seconds = 2.0

T = TypeVar("T")


class Latest(Generic[T]):
    """The last that was fetched, and why it is not newer. `clock` gives seconds since 1970."""

    def __init__(self, fetch: Callable[[], T], clock: Callable[[], Seconds] = time.time) -> None:
        self._fetch, self._clock = fetch, clock
        self._at: Seconds = 0.0
        self.value: T | None = None
        self.trouble = ""

    def refresh(self) -> None:
        """Fetch again; that nobody answers ends nothing."""
        try:
            self.value = self._fetch()
            self._at, self.trouble = self._clock(), ""
        except (ConnectionLostError, TimedOutError) as error:
            self.trouble = printable(str(error)).rstrip(".")

    def page(self, draw: Callable[[T], RenderableType]) -> RenderableType:
        """What there is to show: with a line above it when it is old."""
        if self.value is None:
            return Text(f"No answer: {self.trouble}.", style="bold red")
        if not self.trouble:
            return draw(self.value)
        old = f"No answer: {self.trouble}. This was so at {figures.clock(self._at)} UTC."
        return Group(Text(old, style="bold red"), draw(self.value))

    def line(self, plain: Callable[[T], Any]) -> str:
        """The same for a program: one line of JSON, of the value or of what is wrong."""
        if self.value is None or self.trouble:
            return as_json({"error": self.trouble})
        return as_json(plain(self.value))


Draw = Callable[[T, Console, PageView], RenderableType]
"""A page, of a value, for a console, as it is looked at."""


def watch_screen(latest: Latest[T], draw: Draw[T], orders: Sequence[str] = ()) -> None:
    """Draw again and again until `q` or Ctrl-C; in a pipe one page after the other.

    `orders` are the columns that the page can be sorted by.
    """
    console = screen()
    if not console.is_terminal:
        while True:
            latest.refresh()
            show(
                console,
                Group(latest.page(lambda value: draw(value, console, PageView())), Text("")),
            )
            time.sleep(REFRESH)
    look = PageView()
    with keyboard() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while not look.is_over:
            latest.refresh()
            end = time.monotonic() + REFRESH
            while not look.is_over and time.monotonic() < end:
                look, page = _visible(latest, draw, console, look, orders)
                live.update(page, refresh=True)
                for key in _wait(keys, end - time.monotonic()):
                    look = pressed(look, key, orders)


def _wait(keys: Keyboard | None, timeout: Seconds) -> list[str]:
    """The keys pressed meanwhile; whoever has no keyboard waits."""
    if keys is not None:
        return keys.read(timeout)
    time.sleep(max(0.0, timeout))
    return []


def _visible(
    latest: Latest[T], draw: Draw[T], console: Console, look: PageView, orders: Sequence[str]
) -> tuple[PageView, RenderableType]:
    """The lines of the page that are looked at, above the line with the keys."""
    page = latest.page(lambda value: draw(value, console, look))
    lines = console.render_lines(page, pad=False)
    look = look.sized(console.height - 1, len(lines))
    shown = lines[look.top : look.top + look.room]
    blank: list[list[Segment]] = [[]] * (look.room - len(shown))
    said = cell(footer(look, orders), "reverse")
    return look, Group(SegmentLines([*shown, *blank], new_lines=True), said)


def watch_lines(latest: Latest[T], plain: Callable[[T], Any]) -> NoReturn:
    """Write a line of JSON each time until Ctrl-C."""
    while True:
        latest.refresh()
        say(latest.line(plain))
        time.sleep(REFRESH)
