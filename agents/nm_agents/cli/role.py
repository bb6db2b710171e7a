"""`nm-bus role ...`: who may do what, and how a person gets a right or loses it.

A right is `administrator`, or `publisher` of a component's documents. The rules, and that the last
administrator stays, are the supernodes' (`nm_bus.core.ledger`); what is asked here is a person.
"""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.text import Text

from nm_agents.cli.confirming import DryRun, Yes, confirm
from nm_agents.cli.lists import ListForm, Output, Sort, show_list
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.proposing import ask_for
from nm_agents.cli.screen.console import say
from nm_agents.cli.screen.entries import moment, name_of
from nm_agents.cli.screen.listing import SENTENCE, Field, ListView
from nm_agents.cli.screen.printable import as_json, cell
from nm_bus.client import Client
from nm_bus.codes import NOT_ALLOWED, UNKNOWN_KEY
from nm_bus.core.ledger.keys import FORMS, is_key
from nm_bus.errors import RefusedError
from nm_bus.messages import Entry

roles = typer.Typer(help="Who may do what.", no_args_is_help=True)

Value = dict[str, Any]


class Right(StrEnum):
    """What can be granted. An operator's right comes from `nm-bus broker admit`, not from here."""

    ADMINISTRATOR = "administrator"
    PUBLISHER = "publisher"


def _principal(given: str) -> str:
    if not is_key(f"role/{given}"):
        raise typer.BadParameter(
            f"{given!r} is no principal; give the first DNS name of a certificate, as me.llnl.gov"
        )
    return given


PrincipalArgument = Annotated[
    str,
    typer.Argument(metavar="PRINCIPAL", callback=_principal, help="A certificate's first name."),
]
RightArgument = Annotated[Right, typer.Argument(metavar="RIGHT", help="administrator, publisher.")]
ComponentArgument = Annotated[
    str, typer.Argument(metavar="[COMPONENT]", help="Whose documents a publisher publishes.")
]


@roles.command("list", short_help="Who may do what.")
def list_roles(
    context: typer.Context,
    *,
    form: Output = ListForm.TABLE,
    sort: Sort = "",
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """List the administrators, and the publishers with their components. Times are UTC.

    Example: nm-bus role list

    Exit codes: 0 listed, 2 something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        found = list(client.entries("role/"))
    show_list(ROLES, found, "No one has a right.", form, sort, json=json)


def _row(entry: Entry) -> tuple[Text, ...]:
    since = moment(entry.time)
    texts = (name_of(entry), _words(entry), str(entry.revision), since, entry.actor)
    return tuple(cell(text) for text in texts)


ROLES = ListView(
    (
        Field("principal"),
        Field("may", least=SENTENCE),
        Field("revision", rank=3),
        Field("since", rank=1),
        Field("by", rank=2),
    ),
    _row,
    name_of,
)


def _words(entry: Entry) -> str:
    components = ", ".join(entry.value.get("publisher", ()))
    said = ["administrator"] if entry.value.get("administrator") is True else []
    return "; ".join(said + ([f"publisher of {components}"] if components else [])) or "nothing"


@roles.command("grant", short_help="Give somebody a right.")
def grant(
    context: typer.Context,
    principal: PrincipalArgument,
    right: RightArgument,
    component: ComponentArgument = "",
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Give somebody a right beside those they have. An administrator alone may.

    Brokers must know them too: see `nm-bus broker admit`.

    Example: nm-bus role grant index.ceda.ac.uk publisher search

    Exit codes: 0 agreed (or so already), 2 refused or something to correct, 3 no answer, or
    accepted only.
    """
    _check(right, component)
    with connected(context, config, timeout) as client:
        entry = client.get(f"role/{principal}")
        _propose(client, principal, entry, _with(entry, right, component), json=json)


@roles.command("revoke", short_help="Take a right away.")
def revoke(
    context: typer.Context,
    principal: PrincipalArgument,
    right: RightArgument,
    component: ComponentArgument = "",
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Take a right away; the others stay. The last administrator cannot be revoked.

    It asks before it takes the right of an administrator. Somebody who is to be kept out at once
    also loses the login: see `nm-bus broker revoke`.

    Example: nm-bus role revoke index.ceda.ac.uk publisher search

    Exit codes: 0 agreed (or so already), 1 it was not confirmed, 2 refused or something to
    correct, 3 no answer, or accepted only.
    """
    _check(right, component)
    with connected(context, config, timeout) as client:
        entry = client.get(f"role/{principal}")
        if entry is None:
            raise RefusedError(f"{principal} has no role; see `nm-bus role list`", UNKNOWN_KEY)
        less = _without(entry, right, component)
        if right is Right.ADMINISTRATOR and less != entry.value:
            what = f"{principal} is an administrator; left are {_others(client, principal)}"
            confirm(what, yes=yes, dry_run=dry_run)
        elif dry_run:
            loses = "loses" if less != entry.value else "does not have"
            words = f"{right} {component}".strip()
            confirm(f"{principal} {loses} the right {words}", yes=True, dry_run=True)
        _propose(client, principal, entry, less, json=json)


def _check(right: Right, component: str) -> None:
    """A publisher publishes some component's documents; an administrator's right is for all."""
    if (right is Right.PUBLISHER) != bool(component):
        raise typer.BadParameter("`publisher` needs a COMPONENT, `administrator` takes none")
    if component and not is_key(f"config/{component}/x"):
        raise typer.BadParameter(f"{component!r} is no component; see {FORMS['config'][1]}")


def _others(client: Client, principal: str) -> str:
    """The administrators that are left. Raises RefusedError when there would be none."""
    left = [
        name_of(entry)
        for entry in client.entries("role/")
        if entry.value.get("administrator") is True and name_of(entry) != principal
    ]
    if not left:
        raise RefusedError(
            f"{principal} is the last administrator: grant another the right first", NOT_ALLOWED
        )
    return ", ".join(left)


def _with(entry: Entry | None, right: Right, component: str) -> Value:
    value = dict(entry.value) if entry else {}
    if right is Right.ADMINISTRATOR:
        return value | {"administrator": True}
    return value | {"publisher": sorted({*value.get("publisher", ()), component})}


def _without(entry: Entry, right: Right, component: str) -> Value:
    """What is left; nothing at all when that was the only right."""
    value = dict(entry.value)
    if right is Right.ADMINISTRATOR:
        value.pop("administrator", None)
    else:
        value["publisher"] = [name for name in value.get("publisher", ()) if name != component]
    return value if value.get("administrator") or value.get("publisher") else {}


def _propose(
    client: Client, principal: str, entry: Entry | None, value: Value, *, json: bool
) -> None:
    """Ask for it, unless somebody has changed the role since it was read.

    What the ledger began with is at revision 0, which as an expectation would mean that nothing is
    there: so there is none.
    """
    key, revision = f"role/{principal}", entry.revision if entry else 0
    expected = None if entry and not revision else revision
    if entry is not None and _same(entry.value, value):
        unchanged = {"key": key, "state": "unchanged", "revision": revision}
        say(as_json(unchanged) if json else f"{key}: is so already, since revision {revision}")
    elif value:
        ask_for(key, lambda: client.propose("set", key, value, expected=expected), json=json)
    else:
        ask_for(key, lambda: client.delete(key, if_revision=expected), json=json)


def _same(before: Value, after: Value) -> bool:
    return all(before.get(name) == after.get(name) for name in before.keys() | after.keys())
