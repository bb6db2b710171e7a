"""`nm-bus top NODE`: one node's metrics, with a graph of the last hour each."""

from typing import Annotated

import msgspec
import typer

from nm_agents.cli.options import Config, Json, Timeout, Watch, connected
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.printable import as_json
from nm_agents.cli.screen.refresh import Latest, watch_lines, watch_screen
from nm_agents.cli.screen.top import top_page
from nm_bus.messages import NodeDetail


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

    Exit codes: 0 shown, 2 something to correct (an unknown node too), 3 no answer.
    """
    with connected(context, config, timeout) as client:
        if watch:
            _watch(Latest(lambda: client.node(node)), json=json)
            return
        detail = client.node(node)
    if json:
        say(as_json(detail, indent=True))
    else:
        console = screen()
        show(console, top_page(detail, console.width))


def _watch(latest: Latest[NodeDetail], *, json: bool) -> None:
    if json:
        watch_lines(latest, msgspec.to_builtins)
    watch_screen(latest, lambda detail, console, look: top_page(detail, console.width, look.filter))
