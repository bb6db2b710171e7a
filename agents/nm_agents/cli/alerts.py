"""`nm-bus alerts watch` and `nm-bus alerts list`: what is wrong, as it happens and as it stands.

An alert waits in a durable queue at each supernode until it was printed and remembered; so nothing
is lost while one is away, and what several supernodes deliver is shown once.
"""

import re
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from nm_agents.cli.bus import Bus, ask
from nm_agents.cli.lists import ListForm, Output, Sort, show_list
from nm_agents.cli.options import Config, Json, Timeout, Under, opened
from nm_agents.cli.overview import active, alert_rank, is_under
from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import note, say, screen, warn
from nm_agents.cli.screen.listing import Field, ListView
from nm_agents.cli.screen.printable import cell
from nm_agents.cli.screen.status import ALERT, SEVERITY_STYLE
from nm_agents.cli.seen import Seen
from nm_agents.cli.watching import Ending, Watch, alert_json, alert_line, until
from nm_bus.client.following import Heard, Received
from nm_bus.errors import RefusedError
from nm_bus.messages import Alert, AlertState, Query, Seconds, Severity, Subscribe
from nm_bus.settings import AdministratorSettings

alerts = typer.Typer(help="Alerts, as they happen and now.", no_args_is_help=True)

SEVERITIES = tuple(Severity)


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

    Exit codes: 0 listed (none, too), 2 something to mend, 3 nobody answered.
    """
    with opened(context, config) as (bus, _):
        found = _active(bus, site, timeout)
    show_list(alert_view(time.time()), found, "No alert is active.", form, sort, json=json)


def _active(bus: Bus, site: str, timeout: Seconds) -> list[Alert]:
    data = ask(bus, Query(what="alerts"), timeout)
    try:
        known = msgspec.convert(data.get("alerts", []), tuple[Alert, ...])
    except msgspec.ValidationError as error:
        raise RefusedError(f"the supernode's alerts are not understood: {error}") from None
    if data.get("more"):
        warn("more alerts are active than one answer holds; `nm-bus alerts watch` hears them all")
    return sorted((a for a in active(known) if is_under(a.subject, site)), key=alert_rank)


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
    """Show alerts as they happen, and first those that came while nobody watched.

    Your queue at each supernode goes on collecting while you are away. Times are UTC.

    Example: nm-bus alerts watch --severity warning --under gov.llnl

    Exit codes: 0 ended by itself, 2 something to mend, 3 nobody was heard until the end,
    130 ended by Ctrl-C.
    """
    message = subscription(name, severity, site)
    show_one = _as_json if json else _as_line
    with opened(context, config) as (bus, settings), Seen(seen_path(settings, name)) as seen:
        watch = Watch(seen, show_one, warn)
        ending = Ending(len(settings.supernodes), duration, once=once)
        for item in until(bus.follow(message), ending, time.monotonic):
            if isinstance(item, Heard):
                note(item)
            elif isinstance(item, Received):
                watch.take(item)


def subscription(name: str, severity: Severity, site: str) -> Subscribe:
    """What to hear of: a severity and worse ones, of a site or of all."""
    if name and not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        raise typer.BadParameter("a --name is made of a-z, 0-9 and hyphens")
    worse = SEVERITIES[SEVERITIES.index(severity) :]
    return Subscribe(name=name, severities=worse, under=(site,) if site else ())


def seen_path(settings: AdministratorSettings, name: str) -> Path:
    """Where is remembered what this subscription has shown."""
    words = ("alerts", settings.project, name, "seen")
    return settings.folder / ".".join(word for word in words if word)


def _as_line(alert: Alert) -> None:
    style = SEVERITY_STYLE[alert.severity] if alert.state is AlertState.RAISED else "green"
    screen().print(Text(alert_line(alert), style=style), soft_wrap=True)
    sys.stdout.flush()


def _as_json(alert: Alert) -> None:
    say(alert_json(alert))
