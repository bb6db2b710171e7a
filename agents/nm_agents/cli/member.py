"""`nm-bus member ...`: who belongs to the project."""

import typer
from msgspec.structs import replace

from nm_agents.cli import service
from nm_agents.cli.lists import ListForm, Output, Sort, show_list
from nm_agents.cli.node_commands import NodeArgument, Wanted, asks, asks_once_sure
from nm_agents.cli.options import Config, Json, ServiceConfig, Timeout, connected
from nm_agents.cli.screen.entries import entry_view, show_entry
from nm_bus.client import Client
from nm_bus.messages import Entry, NodeId

PLACED = "placed at"
"""What the ledger calls a member's home: where it should be. Where it is heard is another thing."""

members = typer.Typer(help="Who belongs; and the member agent (a service).", no_args_is_help=True)


@members.command("run", help=service.DESCRIPTIONS["member"])
def run(config: ServiceConfig) -> None:
    raise typer.Exit(service.run_member(config))


@members.command("list", short_help="The members there are.")
def list_members(
    context: typer.Context,
    *,
    form: Output = ListForm.TABLE,
    sort: Sort = "",
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """List the members, those too that have left, where they are placed, and their weight.

    Where each of them is heard, `nm-bus status` shows.

    Example: nm-bus member list

    Exit codes: 0 listed (none, too), 2 something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        found = list(client.entries("member/"))
    columns = {"state": "state", "home": PLACED, "weight": "weight"}
    show_list(entry_view(columns), found, "There is no member.", form, sort, json=json)


@members.command("show", short_help="What the ledger holds of one.")
def show(
    context: typer.Context,
    node: NodeArgument,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show what the ledger holds of a member. How it is now, `nm-bus top NODE` shows.

    Example: nm-bus member show n1.llnl.gov

    Exit codes: 0 shown, 2 it is no member or something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        found = client.get(f"member/{node}")
    show_entry(found if json else _placed(found), f"member/{node}", json=json)


def _placed(entry: Entry | None) -> Entry | None:
    """For a person: its home in the ledger is where it is placed, and no properties are none."""
    if entry is None:
        return None
    value = {PLACED if name == "home" else name: field for name, field in entry.value.items()}
    if not value.get("properties"):
        value.pop("properties", None)
    return replace(entry, value=value)


@asks(members, "Let one leave.")
def leave(node: NodeId) -> Wanted:
    """Let a member leave: its entry stays, without a home. When its agent starts, it joins again.

    A member may say so of itself, an administrator of all.

    Example: nm-bus member leave n1.llnl.gov

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    return "leave", f"member/{node}", None


@asks(members, "Somebody works on it.")
def maintain(node: NodeId) -> Wanted:
    """Say in the ledger that somebody works on a member, until `resume`. Alerts do not heed it yet.

    A member may say so of itself, an administrator of all.

    Example: nm-bus member maintain n1.llnl.gov

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    return "maintain", f"member/{node}", None


@asks(members, "The work on it is done.")
def resume(node: NodeId) -> Wanted:
    """Say that the work on a member is done.

    Example: nm-bus member resume n1.llnl.gov

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    return "resume", f"member/{node}", None


def _goes(_client: Client, node: NodeId) -> str:
    return f"{node} is sent away, and comes back by `nm-bus member restore` alone"


@asks_once_sure(members, "Send one away.", _goes)
def remove(node: NodeId) -> Wanted:
    """Send a member away; an administrator alone may, and may `restore` it.

    Example: nm-bus member remove n1.llnl.gov

    Exit codes: 0 agreed, 1 it was not confirmed, 2 refused or something to correct, 3 no answer,
    or accepted only.
    """
    return "remove", f"member/{node}", None


@asks(members, "Take one in again.")
def restore(node: NodeId) -> Wanted:
    """Take a member in again that an administrator has sent away.

    Example: nm-bus member restore n1.llnl.gov

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    return "join", f"member/{node}", {}
