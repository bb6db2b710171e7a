"""`nm-bus tail EXCHANGE`: live messages, one line each, from every supernode."""

import time
from enum import StrEnum
from typing import Annotated

import typer

from nm_agents.cli.options import Config, Json, connected
from nm_agents.cli.screen.console import note, say
from nm_agents.cli.screen.message_line import MessageLine, message_line
from nm_agents.cli.screen.printable import as_json
from nm_bus import topology
from nm_bus.client.carrier import Contact, Received
from nm_bus.identity.role import Role
from nm_bus.messages import Seconds

ANSWER: Seconds = 10.0


class WatchedStream(StrEnum):
    """The exchanges that can be watched."""

    HEARTBEAT = topology.HEARTBEAT
    METRICS = topology.METRICS
    ALERTS = topology.ALERTS
    DEAD = topology.DEAD
    UPDATES = topology.UPDATES
    MEMBERS_REQUESTS = topology.request_exchange(Role.MEMBER)
    COMPONENTS_REQUESTS = topology.request_exchange(Role.COMPONENT)
    ADMINISTRATORS_REQUESTS = topology.request_exchange(Role.ADMINISTRATOR)
    REPORTS = topology.REPORTS


def tail(
    context: typer.Context,
    exchange: Annotated[WatchedStream, typer.Argument(help="What to watch.")],
    key: Annotated[
        str, typer.Argument(metavar="[KEY]", help="A topic pattern, as 'gov.llnl.#'.")
    ] = "#",
    *,
    config: Config = None,
    json: Json = False,
) -> None:
    """Print live messages as they pass, from every supernode, until Ctrl-C.

    Refused messages (dead) show the reason and their first bytes; those that were refused before,
    `nm-bus dead list` shows. Times are UTC.

    Example: nm-bus tail heartbeat 'gov.llnl.#' | grep disk

    Exit codes: 0 the reader closed the pipe, 2 something to correct, 3 no answer,
    130 ended by Ctrl-C.
    """
    with connected(context, config, ANSWER) as client, client.tail(exchange, key) as followed:
        for item in followed:
            if isinstance(item, Contact):
                note(item)
            elif isinstance(item, Received):
                said: MessageLine = message_line(item, time.time())
                say(as_json(said.data()) if json else said.line())
                item.ack()
