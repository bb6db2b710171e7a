"""`nm-bus status`: the federation in one screen."""

import time
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from nm_agents.cli import figures
from nm_agents.cli.bus import Bus
from nm_agents.cli.console import say, screen, show
from nm_agents.cli.exits import Exit
from nm_agents.cli.options import Config, Json, Timeout, Under, Watch, opened
from nm_agents.cli.overview import Picture, as_data, fetch, under, verdict
from nm_agents.cli.printable import as_json, printable
from nm_agents.cli.status_screen import EVERYTHING, IN_A_PIPE, rows_that_fit, status_page
from nm_bus.errors import ConnectionLostError, TimedOutError

REFRESH = 2.0


def status(
    context: typer.Context,
    *,
    config: Config = None,
    watch: Watch = False,
    json: Json = False,
    site: Under = "",
    everything: Annotated[bool, typer.Option("--all", help="Every member and link.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="One line and exit code, as a Nagios plugin.")
    ] = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show supernodes, links, members and active alerts, the worst first.

    Example: nm-bus status --watch --under gov.llnl

    Exit codes: 0 a supernode answered, 2 something to mend, 3 nobody answered.
    With --check: 0 ok, 1 warning, 2 critical, 3 unknown.
    """
    with opened(context, config) as (bus, _):
        if check:
            raise typer.Exit(_check(bus, site, timeout))
        if watch:
            _watch(bus, site, timeout, json=json, everything=everything)
        picture = under(fetch(bus, timeout), site)
        if json:
            say(as_json(as_data(picture), indent=True))
        else:
            console = screen()
            show(console, _page(picture, console, everything))


def _check(bus: Bus, site: str, timeout: float) -> int:
    try:
        level, why = verdict(picture := under(fetch(bus, timeout), site))
    except (ConnectionLostError, TimedOutError) as error:
        say(f"UNKNOWN - {printable(str(error))}")
        return Exit.NOBODY
    say(f"{level.name} - {why} | members={len(picture.members)} alerts={len(picture.alerts)}")
    return int(level)


def _page(picture: Picture, console: Console, everything: bool) -> RenderableType:
    """A page of as many rows as there is room for."""
    rows = rows_that_fit(picture, console.height) if console.is_terminal else IN_A_PIPE
    return status_page(picture, console.width, EVERYTHING if everything else rows)


def _watch(bus: Bus, site: str, timeout: float, *, json: bool, everything: bool) -> None:
    """Refresh until Ctrl-C; a supernode that does not answer ends nothing."""
    pages = WatchedStatus(bus, site, timeout)
    if json:
        while True:
            say(pages.as_line())
            time.sleep(REFRESH)
    console = screen()
    if not console.is_terminal:
        while True:
            show(console, Group(pages.page(console, everything), Text("")))
            time.sleep(REFRESH)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(pages.page(console, everything), refresh=True)
            time.sleep(REFRESH)


class WatchedStatus:
    """The last picture, and since when nobody has given a newer one."""

    def __init__(self, bus: Bus, site: str, timeout: float) -> None:
        self._bus, self._site, self._timeout = bus, site, timeout
        self._last: Picture | None = None
        self._trouble = ""

    def page(self, console: Console, everything: bool) -> RenderableType:
        """A fresh page, or the last one under a line that says why it is old."""
        self._refresh()
        picture = self._last
        if picture is None:
            return Text(f"Nobody answers: {self._trouble}", style="bold red")
        page = _page(picture, console, everything)
        if not self._trouble:
            return page
        seen = figures.clock(picture.now)
        old = f"Nobody answers: {self._trouble}. This is what was so at {seen} UTC."
        return Group(Text(old, style="bold red"), page)

    def as_line(self) -> str:
        """The same as one line of JSON."""
        self._refresh()
        if self._last is None or self._trouble:
            return as_json({"error": self._trouble})
        return as_json(as_data(self._last))

    def _refresh(self) -> None:
        try:
            self._last = under(fetch(self._bus, self._timeout), self._site)
            self._trouble = ""
        except (ConnectionLostError, TimedOutError) as error:
            self._trouble = printable(str(error)).rstrip(".")
