"""`nm-bus supernode ...`: who decides, who follows, and how far each of them is."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from nm_agents.cli import service
from nm_agents.cli.lists import ListForm, Output, Sort, Unhealthy, show_list
from nm_agents.cli.node_commands import NodeArgument, Wanted, asks, asks_once_sure
from nm_agents.cli.options import Config, Json, ServiceConfig, Timeout, connected
from nm_agents.cli.proposing import ask_for, propose
from nm_agents.cli.screen.entries import name_of
from nm_agents.cli.screen.listing import SENTENCE, Field, ListView
from nm_agents.cli.screen.printable import cell
from nm_bus.client import Client
from nm_bus.client.federation.standings import RUNNING
from nm_bus.core.ledger.voters import node_of
from nm_bus.errors import NmBusError
from nm_bus.messages import Entry, Health, NodeId, Standing

Incarnation = Annotated[
    str,
    typer.Option("--incarnation", metavar="WORD", help="As `nm-bus init --replace` has said it."),
]
VOTER, STANDBY = "voter", "standby"


supernodes = typer.Typer(help="Who decides; and a supernode (a service).", no_args_is_help=True)


@supernodes.command("run", help=service.DESCRIPTIONS["supernode"])
def run(config: ServiceConfig) -> None:
    raise typer.Exit(service.run_supernode(config))


@supernodes.command("list", short_help="Who decides, who follows, how far they are.")
def list_supernodes(
    context: typer.Context,
    *,
    unhealthy: Unhealthy = False,
    form: Output = ListForm.TABLE,
    sort: Sort = "",
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """List the supernodes: their role, and how far the ledger of each is that the settings name.

    Example: nm-bus supernode list

    Exit codes: 0 listed, 2 something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        entries = list(client.entries("supernode/"))
        asked = {peer.node for peer in client.settings.supernodes}
        found = [
            Listed(entry, _standing(client, entry) if name_of(entry) in asked else None)
            for entry in entries
        ]
    shown = [one for one in found if not (unhealthy and one.is_well)]
    show_list(supernode_view(asked), shown, "There is none.", form, sort, json=json)


def _standing(client: Client, entry: Entry) -> Standing | None:
    """By its own word; None when it gave none."""
    try:
        return client.standing(name_of(entry))
    except NmBusError:
        return None


@dataclass(frozen=True, slots=True)
class Listed:
    """A supernode's entry in the ledger, and how far it is by its own word, if it gave one."""

    entry: Entry
    standing: Standing | None

    @property
    def is_well(self) -> bool:
        """Whether the one that was admitted runs there."""
        return self.standing is not None and _state(self.entry.value, self.standing) == RUNNING


SUPERNODE = (
    Field("node"),
    Field("role"),
    Field("state", least=SENTENCE),
    Field("revision", rank=1, right=True),
    Field("incarnation", rank=3),
    Field("weight", rank=4, right=True),
    Field("address", rank=2),
)


def supernode_view(asked: set[str]) -> ListView[Listed]:
    """Supernodes as rows; those that the settings do not name were not asked."""
    return ListView(SUPERNODE, lambda one: _row(one, asked), lambda one: name_of(one.entry))


def _row(one: Listed, asked: set[str]) -> list[Text]:
    entry, standing = one.entry, one.standing
    value = entry.value
    silent = "not heard" if name_of(entry) in asked else "not asked: it is not in the settings"
    role, incarnation, weight = (
        cell(str(value.get(name, "-"))) for name in ("role", "incarnation", "weight")
    )
    return [
        cell(name_of(entry)),
        role,
        cell(silent if standing is None else _state(value, standing)),
        cell("-" if standing is None else str(standing.revision)),
        incarnation,
        weight,
        cell(f"{value.get('host', '?')}:{value.get('port', '?')}"),
    ]


def _state(value: dict[str, Any], standing: Standing) -> str:
    """Somebody else may run there than was admitted: who began again, or was put aside."""
    if standing.incarnation == value.get("incarnation"):
        return standing.state
    return f"runs as {standing.incarnation}, not admitted"


@supernodes.command("add", short_help="Admit one, as a standby.")
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
    """Admit a supernode as a standby: a new one, or one that comes again because its disk was lost.

    It follows without a vote; once it has caught up (`nm-bus supernode list`), `promote` it. For
    one that is in the list already, `rejoin` says the same in fewer words.

    Example: nm-bus supernode add sn4.dkrz.de --incarnation 2d81c0

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    key, new = f"supernode/{node}", {"host": node, "port": 5671, "weight": 1}
    given = {"host": host or None, "port": port, "weight": weight}
    with connected(context, config, timeout) as client:
        value: dict[str, Any] = {} if client.get(key) else dict(new)
        value |= {name: field for name, field in given.items() if field is not None}
        value |= {"role": STANDBY, "incarnation": incarnation}
        ask_for(key, lambda: client.propose("admit", key, value), json=json)


@supernodes.command("rejoin", short_help="Admit one that began again.")
def rejoin(
    context: typer.Context,
    node: NodeArgument,
    incarnation: Incarnation,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Admit a supernode again that has begun again; its address and weight stay as they were.

    The same as `add` for one that is in the list already, with nothing else to give.
    Its former self has a vote no more, wherever a copy of it may run.

    Example: nm-bus supernode rejoin sn1.llnl.gov --incarnation 2d81c0

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    value = {"role": STANDBY, "incarnation": incarnation}
    propose(context, config, timeout, ("admit", f"supernode/{node}", value), json=json)


@asks(supernodes, "Give one a vote.")
def promote(node: NodeId) -> Wanted:
    """Give a standby a vote, from the next decision on. It must have caught up with the others.

    Example: nm-bus supernode promote sn4.dkrz.de

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    return "admit", f"supernode/{node}", {"role": VOTER}


def _without(client: Client, node: NodeId) -> str:
    """What it means for the votes that a supernode has none."""
    voters = {node_of(voter) for voter in client.standing().voters}
    remaining = _remaining(node, len(voters), len(voters - {node}))
    return remaining + _silent(client, voters - {node})


def _silent(client: Client, voters: set[str]) -> str:
    """Who of the others does not vote now, so far as a supernode can tell."""
    try:
        views = client.status().supernodes
    except NmBusError:
        return ""
    able = {
        view.node
        for view in views
        if view.health is Health.ALIVE and view.state and view.state.ledger
        if view.state.ledger.state == RUNNING
    }
    if not (away := sorted(voters - able)):
        return ""
    stuck = len(voters & able) <= len(voters) // 2
    return f"; {', '.join(away)} cannot vote now" + (": nothing will be agreed" if stuck else "")


def _remaining(node: str, before: int, after: int) -> str:
    if before == after:
        return f"{node} has no vote: {before} of {before} voters remain"
    remain = f"{node} loses its vote: {after} of {before} voters remain"
    if after == 1:
        return f"{remain}, and with that one's disk all is lost"
    needed = after // 2 + 1
    return f"{remain}, and a change needs {needed} of them"


@asks_once_sure(supernodes, "Take its vote.", _without)
def demote(node: NodeId) -> Wanted:
    """Take a supernode's vote: it follows as a standby, and its members go to the others.

    Example: nm-bus supernode demote sn4.dkrz.de

    Exit codes: 0 agreed, 1 it was not confirmed, 2 refused or something to correct, 3 no answer,
    or accepted only.
    """
    return "admit", f"supernode/{node}", {"role": STANDBY}


@asks_once_sure(supernodes, "Dismiss one.", _without)
def remove(node: NodeId) -> Wanted:
    """Dismiss a supernode: it has no vote, and its members go to the others.

    Example: nm-bus supernode remove sn4.dkrz.de

    Exit codes: 0 agreed, 1 it was not confirmed, 2 refused or something to correct, 3 no answer,
    or accepted only.
    """
    return "dismiss", f"supernode/{node}", None
