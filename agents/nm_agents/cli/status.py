"""`nm-bus status`: the federation in one screen."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from nm_agents.cli.lists import ListForm, Output, Sort, Unhealthy, screen_for, show_names
from nm_agents.cli.options import Config, Json, Timeout, Under, Watch, connected
from nm_agents.cli.screen.console import say, show
from nm_agents.cli.screen.keys import PageView
from nm_agents.cli.screen.printable import as_json, printable
from nm_agents.cli.screen.refresh import Latest, watch_lines, watch_screen
from nm_agents.cli.screen.status import (
    EVERYTHING,
    IN_A_PIPE,
    ORDERS,
    SCROLLED,
    Rows,
    rows_that_fit,
    selected,
    status_page,
)
from nm_agents.exits import Exit
from nm_bus.client import Client, Picture
from nm_bus.client.federation.picture import under
from nm_bus.client.federation.standings import as_data, verdict
from nm_bus.errors import ConnectionLostError, TimedOutError


def status(
    context: typer.Context,
    *,
    config: Config = None,
    watch: Watch = False,
    json: Json = False,
    site: Under = "",
    unhealthy: Unhealthy = False,
    form: Output = ListForm.TABLE,
    sort: Sort = "",
    everything: Annotated[bool, typer.Option("--all", help="Every member and link.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="One line and exit code, as a Nagios plugin.")
    ] = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show supernodes, links, members and active alerts, the worst first.

    Example: nm-bus status --watch --under gov.llnl

    Exit codes: 0 a supernode answered, 2 something to correct, 3 no answer.
    With --check: 0 ok, 1 warning, 2 critical, 3 unknown.
    """
    with connected(context, config, timeout) as client:
        if check:
            raise typer.Exit(_check(client, site))
        look = partial(_look, client, site)
        rows = Rows(unhealthy=unhealthy, sort=sort)
        draw = partial(page, rows=rows, everything=everything or form is ListForm.WIDE)
        if watch:
            _watch(Latest(look), rows, json=json or form is ListForm.JSON, everything=everything)
            return
        picture = look()
    if json or form is ListForm.JSON:
        say(as_json(everything_known(picture, rows), indent=True))
    elif form is ListForm.NAME:
        show_names(view.state.node for view in selected(picture, rows).members)
    else:
        console = screen_for(form)
        show(console, draw(picture, console))


def _look(client: Client, site: str) -> Picture:
    return under(client.status(), site)


def _watch(latest: Latest[Picture], rows: Rows, *, json: bool, everything: bool) -> None:
    if json:
        watch_lines(latest, partial(everything_known, rows=rows))
    watch_screen(latest, partial(_scrolled, rows=rows, everything=everything), ORDERS)


def _scrolled(
    picture: Picture, console: Console, look: PageView, *, rows: Rows, everything: bool
) -> RenderableType:
    """A page that may be longer than the screen: its end, the members, is scrolled into."""
    wanted = replace(
        rows,
        unhealthy=rows.unhealthy != look.unhealthy,
        sort=look.sort or rows.sort,
        named=look.filter,
    )
    if not console.is_terminal or everything:
        return page(picture, console, rows=wanted, everything=everything)
    fitting = rows_that_fit(picture, console.height)
    most = replace(wanted, alerts=fitting.alerts, links=fitting.links, members=SCROLLED)
    return status_page(picture, console.width, most)


def _check(client: Client, site: str) -> int:
    try:
        level, why = verdict(picture := _look(client, site))
    except (ConnectionLostError, TimedOutError) as error:
        say(f"UNKNOWN - {printable(str(error))}")
        return Exit.LATER
    say(f"{level.name} - {why} | members={len(picture.members)} alerts={len(picture.alerts)}")
    return int(level)


def everything_known(picture: Picture, rows: Rows) -> dict[str, Any]:
    """The picture as plain values: what is wanted of its lists, and counts of all."""
    listed = as_data(selected(picture, rows))
    return as_data(picture) | {name: listed[name] for name in ("supernodes", "links", "members")}


def page(picture: Picture, console: Console, *, rows: Rows, everything: bool) -> RenderableType:
    """A page of as many rows as there is room for."""
    most = rows_that_fit(picture, console.height) if console.is_terminal else IN_A_PIPE
    shown = EVERYTHING if everything else most
    wanted = replace(rows, alerts=shown.alerts, links=shown.links, members=shown.members)
    return status_page(picture, console.width, wanted)
