"""`nm-bus top NODE`: one node's metrics, with a graph of the last hour each."""

import time
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from nm_agents.cli.bus import Bus, ask, understood
from nm_agents.cli.console import say, screen, show
from nm_agents.cli.options import Config, Json, Timeout, Watch, opened
from nm_agents.cli.printable import as_json, printable
from nm_agents.cli.top_screen import top_page
from nm_bus.errors import ConnectionLostError, TimedOutError
from nm_bus.messages import NodeDetail, NodeId, Query, Seconds

REFRESH = 2.0


def top(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node id, as n1.llnl.gov.")],
    *,
    config: Config = None,
    watch: Watch = False,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show one node: properties, checks, and each metric with its history.

    Example: nm-bus top esgf-node1.llnl.gov --watch

    Exit codes: 0 shown, 2 something to mend (an unknown node too), 3 nobody answered.
    """
    with opened(context, config) as (bus, _):
        if watch:
            _watch(bus, node, timeout, json=json)
        detail = node_detail(bus, node, timeout)
        if json:
            say(as_json(detail, indent=True))
        else:
            console = screen()
            show(console, top_page(detail, console.width))


def node_detail(bus: Bus, node: NodeId, timeout: Seconds) -> NodeDetail:
    """Ask for one node. Raises RefusedError when nobody knows it."""
    return understood(ask(bus, Query(what="node", node=node.lower()), timeout), NodeDetail)


def _watch(bus: Bus, node: NodeId, timeout: Seconds, *, json: bool) -> None:
    """Refresh until Ctrl-C."""
    if json:
        while True:
            say(as_json(node_detail(bus, node, timeout)))
            time.sleep(REFRESH)
    console = screen()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            live.update(_page(bus, node, timeout, console), refresh=True)
            time.sleep(REFRESH)


def _page(bus: Bus, node: NodeId, timeout: Seconds, console: Console) -> RenderableType:
    try:
        return top_page(node_detail(bus, node, timeout), console.width)
    except (ConnectionLostError, TimedOutError) as error:
        return Group(Text(f"Nobody answers: {printable(str(error))}", style="bold red"))
