"""`nm-bus supernode ...`: who decides, who follows, and how far each of them is."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from rich.table import Table

from nm_agents.cli.console import say, screen, show
from nm_agents.cli.ledger.members import NodeArgument
from nm_agents.cli.ledger.showing import name_of
from nm_agents.cli.options import Config, Json, Timeout, ledger
from nm_agents.cli.printable import as_json, cell
from nm_agents.cli.proposing import propose
from nm_agents.cli.status_screen import table
from nm_bus.client import Client
from nm_bus.errors import NmBusError
from nm_bus.messages import Entry, Standing

Incarnation = Annotated[
    str,
    typer.Option("--incarnation", metavar="WORD", help="As `nm-bus init --anew` has said it."),
]
VOTER, STANDBY = "voter", "standby"


def list_supernodes(
    context: typer.Context, *, config: Config = None, json: Json = False, timeout: Timeout = 10.0
) -> None:
    """List the supernodes: their role, and how far the ledger of each is that the settings name.

    Example: nm-bus supernode list

    Exit codes: 0 listed, 2 something to mend, 3 nobody answered.
    """
    with ledger(context, config, timeout) as client:
        entries = list(client.entries("supernode/"))
        found = [(entry, _standing(client, entry)) for entry in entries]
    if json:
        rows = [{"entry": entry, "standing": standing} for entry, standing in found]
        say(as_json(rows, indent=True))
    else:
        show(screen(), _table(found))


def _standing(client: Client, entry: Entry) -> Standing | None:
    node = name_of(entry)
    if node not in {peer.node for peer in client.settings.supernodes}:
        return None
    try:
        return client.standing(node)
    except NmBusError:
        return None


def _table(found: list[tuple[Entry, Standing | None]]) -> Table:
    rows = table("node", "role", "incarnation", "weight", "address", "revision", "state")
    for entry, standing in found:
        rows.add_row(*(cell(text) for text in _row(entry, standing)))
    return rows


def _row(entry: Entry, standing: Standing | None) -> Iterator[str]:
    value = entry.value
    yield name_of(entry)
    yield from (str(value.get(name, "-")) for name in ("role", "incarnation", "weight"))
    yield f"{value.get('host', '?')}:{value.get('port', '?')}"
    yield "-" if standing is None else str(standing.revision)
    yield "not heard" if standing is None else _state(value, standing)


def _state(value: dict[str, Any], standing: Standing) -> str:
    """Somebody else may run there than was admitted: who began anew, or was put aside."""
    if standing.incarnation == value.get("incarnation"):
        return standing.state
    return f"runs as {standing.incarnation}, not admitted"


def add(
    context: typer.Context,
    node: NodeArgument,
    incarnation: Incarnation,
    *,
    host: Annotated[str, typer.Option("--host", help="Its address, unless its id.")] = "",
    port: Annotated[int | None, typer.Option("--port", min=1, max=65_535, help="5671.")] = None,
    weight: Annotated[
        int | None, typer.Option("--weight", min=1, max=100, help="Its share of the members.")
    ] = None,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Admit a supernode as a standby: a new one, or one that comes anew because its disk was lost.

    It follows without a vote; once it has caught up (`nm-bus supernode list`), `promote` it.

    Example: nm-bus supernode add sn4.dkrz.de --incarnation 2d81c0

    Exit codes: 0 agreed, 2 refused or something to mend, 3 nobody answered, or accepted only.
    """
    given = {"host": host or None, "port": port, "weight": weight}
    value = {name: field for name, field in given.items() if field is not None}
    value |= {"role": STANDBY, "incarnation": incarnation}
    propose(context, config, timeout, ("admit", f"supernode/{node}", value), json=json)


def rejoin(
    context: typer.Context,
    node: NodeArgument,
    incarnation: Incarnation,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Admit a supernode again that has begun anew; its address and weight stay as they were.

    Its former self has a vote no more, wherever a copy of it may run.

    Example: nm-bus supernode rejoin sn1.llnl.gov --incarnation 2d81c0

    Exit codes: 0 agreed, 2 refused or something to mend, 3 nobody answered, or accepted only.
    """
    value = {"role": STANDBY, "incarnation": incarnation}
    propose(context, config, timeout, ("admit", f"supernode/{node}", value), json=json)


def promote(
    context: typer.Context,
    node: NodeArgument,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Give a standby a vote, from the next decision on.

    Example: nm-bus supernode promote sn4.dkrz.de

    Exit codes: 0 agreed, 2 refused or something to mend, 3 nobody answered, or accepted only.
    """
    value = {"role": VOTER}
    propose(context, config, timeout, ("admit", f"supernode/{node}", value), json=json)


def demote(
    context: typer.Context,
    node: NodeArgument,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Take a supernode's vote: it follows as a standby, and its members go to the others.

    Example: nm-bus supernode demote sn4.dkrz.de

    Exit codes: 0 agreed, 2 refused or something to mend, 3 nobody answered, or accepted only.
    """
    value = {"role": STANDBY}
    propose(context, config, timeout, ("admit", f"supernode/{node}", value), json=json)


def remove(
    context: typer.Context,
    node: NodeArgument,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Dismiss a supernode: it has no vote, and its members go to the others.

    Example: nm-bus supernode remove sn4.dkrz.de

    Exit codes: 0 agreed, 2 refused or something to mend, 3 nobody answered, or accepted only.
    """
    propose(context, config, timeout, ("dismiss", f"supernode/{node}", None), json=json)


COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "list": (list_supernodes, "Who decides, who follows, how far they are."),
    "add": (add, "Admit one, as a standby."),
    "rejoin": (rejoin, "Admit one that began anew."),
    "promote": (promote, "Give one a vote."),
    "demote": (demote, "Take its vote."),
    "remove": (remove, "Dismiss one."),
}
"""By name: the command, and its line in the list."""
