"""`nm-bus alerts watch` and `nm-bus alerts list`: what is wrong, as it happens and as it stands.

An alert waits in a durable queue at each supernode until it was printed and remembered; so nothing
is lost while one is away, and what several supernodes deliver is shown once.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from nm_agents.cli.lists import ListForm, Output, Sort, show_list
from nm_agents.cli.options import Config, Json, Timeout, Under, connected
from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import note, say, screen
from nm_agents.cli.screen.listing import Field, ListView
from nm_agents.cli.screen.printable import as_json, cell, printable
from nm_agents.cli.screen.status import ALERT, SEVERITY_STYLE
from nm_bus.client.alerts import AlertItem
from nm_bus.client.carrier import Contact, Quiet
from nm_bus.client.federation.picture import alert_rank
from nm_bus.errors import ConnectionLostError
from nm_bus.messages import Alert, AlertState, NodeId, Seconds, Severity
from nm_bus.settings import AdministratorSettings

alerts = typer.Typer(help="Alerts, as they happen and now.", no_args_is_help=True)

SEVERITIES = tuple(Severity)

ANSWER: Seconds = 10.0

IDLE = 1.0
"""Seconds without a message after which what was waiting is held to have been shown."""

MARKS = {AlertState.RAISED: "▲", AlertState.RESOLVED: "✓"}


@alerts.command("list")
def list_alerts(
    context: typer.Context,
    *,
    form: Output = ListForm.TABLE,
    sort: Sort = "",
    config: Config = None,
    json: Json = False,
    site: Under = "",
    timeout: Timeout = 10.0,
) -> None:
    """List the alerts whose condition holds now, the most severe first.

    Example: nm-bus alerts list --under gov.llnl

    Exit codes: 0 listed (none, too), 2 something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        found = client.active_alerts(site)
    show_list(alert_view(time.time()), found, "No alert is active.", form, sort, json=json)


def alert_view(now: Seconds) -> ListView[Alert]:
    """Alerts as rows, as they are now."""

    def row(alert: Alert) -> tuple[Text, ...]:
        return (
            cell(alert.severity, SEVERITY_STYLE[alert.severity]),
            cell(alert.subject),
            cell(alert.summary),
            cell(figures.age(max(0.0, now - alert.raised))),
            cell(alert.kind, "dim"),
        )

    keys = {"severity": alert_rank, "for": lambda alert: -alert.raised}
    return ListView((*ALERT, Field("kind", rank=2)), row, lambda alert: alert.alert, keys)


@alerts.command("watch")
def watch_alerts(
    context: typer.Context,
    *,
    severity: Annotated[
        Severity, typer.Option("--severity", help="This severity and worse ones.")
    ] = Severity.INFO,
    site: Under = "",
    name: Annotated[
        str, typer.Option("--name", help="A subscription beside others of yours.")
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="Show what is waiting, then end.")] = False,
    duration: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0.1, help="End after this.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show alerts as they happen, and first those that came while no one watched.

    Your queue at each supernode goes on collecting while you are away. Times are UTC.

    Example: nm-bus alerts watch --severity warning --under gov.llnl

    Exit codes: 0 ended by itself, 2 something to correct, 3 no supernode was reached until the end,
    130 ended by Ctrl-C.
    """
    check_name(name)
    show_one = _as_json if json else _as_line
    worse = SEVERITIES[SEVERITIES.index(severity) :]
    with connected(context, config, ANSWER) as client:
        file = shown_file(client.settings, name)
        ending = Ending(len(client.supernodes), duration, once=once)
        with client.alerts(name, worse, (site,) if site else (), remembered=file) as watched:
            for item in until(watched, ending, time.monotonic):
                if isinstance(item, Contact):
                    note(item)
                elif isinstance(item, Alert):
                    show_one(item)
                    watched.taken()


def check_name(name: str) -> None:
    """Raise BadParameter for what can be no queue's name."""
    if name and not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        raise typer.BadParameter("a --name is made of a-z, 0-9 and hyphens")


def shown_file(settings: AdministratorSettings, name: str) -> Path:
    """Where is remembered what this subscription has shown."""
    words = ("alerts", settings.project, name, "seen")
    return settings.folder / ".".join(word for word in words if word)


def _as_line(alert: Alert) -> None:
    style = SEVERITY_STYLE[alert.severity] if alert.state is AlertState.RAISED else "green"
    screen().print(Text(alert_line(alert), style=style), soft_wrap=True)
    sys.stdout.flush()


def _as_json(alert: Alert) -> None:
    say(as_json(alert))


def alert_line(alert: Alert) -> str:
    """One alert as one line for a person."""
    mark = f"{MARKS.get(alert.state, '·')} {alert.state:8} {alert.severity:8}"
    return f"{figures.date(alert.changed)}  {mark} {printable(_what(alert))}"


def _what(alert: Alert) -> str:
    return f"{alert.subject}  {alert.summary}"


class Ending:
    """When a watch ends: after a time, when nothing is waiting any more, or never."""

    def __init__(self, supernodes: int, duration: Seconds | None, *, once: bool) -> None:
        self._supernodes, self._duration, self._once = supernodes, duration, once
        self._told: set[NodeId] = set()
        self._heard: set[NodeId] = set()
        self._begun: Seconds | None = None
        self._last: Seconds = 0.0

    def note(self, item: AlertItem, now: Seconds) -> bool:
        """Take what came, or that nothing did; say whether this is the end."""
        self._begun = now if self._begun is None else self._begun
        if not isinstance(item, Quiet):
            self._last = now
        if isinstance(item, Contact):
            self._told.add(item.supernode)
            self._heard |= set() if item.reason else {item.supernode}
        if self._duration is not None and now - self._begun >= self._duration:
            return True
        everyone = len(self._told) >= self._supernodes
        return self._once and everyone and now - self._last >= IDLE

    def check(self) -> None:
        """Raise ConnectionLostError when no supernode was heard at all until the end."""
        if not self._heard:
            raise ConnectionLostError("no supernode could be heard; `nm-bus doctor` says why")


def until(
    alerts: Iterator[AlertItem], ending: Ending, clock: Callable[[], Seconds]
) -> Iterator[AlertItem]:
    """Pass on what comes until the end has come."""
    for item in alerts:
        yield item
        if ending.note(item, clock()):
            ending.check()
            return
