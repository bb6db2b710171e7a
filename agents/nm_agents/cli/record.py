"""`nm-bus record ...`: what components and nodes say of themselves in the ledger."""

import json as reading
from typing import Annotated, Any

import typer

from nm_agents.cli.config.arguments import STDIN, IfRevision, read_file
from nm_agents.cli.lists import ListForm, Output, Sort, show_list
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.proposing import ask_for
from nm_agents.cli.screen.entries import entry_view, show_entry

records = typer.Typer(help="Component records: endpoints, software and more.", no_args_is_help=True)

KindArgument = Annotated[str, typer.Argument(metavar="KIND", help="As endpoint or software.")]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A node id, or one and a dot and more.")
]


@records.command("list", short_help="The records there are.")
def list_records(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="[KIND]", help="Of this kind only.")] = "",
    *,
    form: Output = ListForm.TABLE,
    sort: Sort = "",
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """List the records: endpoints, certificates, software, compute, datasets and so on.

    Example: nm-bus record list endpoint

    Exit codes: 0 listed (none, too), 2 something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        found = list(client.records(kind))
    show_list(entry_view({}), found, "There is no record.", form, sort, json=json)


@records.command("show", short_help="One record.")
def show(
    context: typer.Context,
    kind: KindArgument,
    name: NameArgument,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show a record.

    Example: nm-bus record show endpoint n1.llnl.gov.thredds

    Exit codes: 0 shown, 2 there is none or something to correct, 3 no answer.
    """
    key = f"record/{kind}/{name}"
    with connected(context, config, timeout) as client:
        show_entry(client.get(key), key, json=json)


@records.command("set", short_help="Say what a component is or has.")
def set_record(
    context: typer.Context,
    kind: KindArgument,
    name: NameArgument,
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="A JSON object, or - for standard input.")
    ],
    *,
    if_revision: IfRevision = None,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Say what a component is or has. A node may of itself, publishers and administrators of all.

    Example: nm-bus record set endpoint n1.llnl.gov.web '{"url": "https://n1.llnl.gov/"}'

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    given = _object(value)
    key = f"record/{kind}/{name}"
    with connected(context, config, timeout) as client:
        ask_for(
            key, lambda: client.set_record(kind, name, given, if_revision=if_revision), json=json
        )


def _object(text: str) -> dict[str, Any]:
    raw = read_file(STDIN) if text == "-" else text
    try:
        given = reading.loads(raw)
    except ValueError as error:
        raise typer.BadParameter(f"VALUE is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise typer.BadParameter('VALUE must be a JSON object, as {"url": "https://..."}')
    return given


@records.command("delete", short_help="Take a record away.")
def delete(
    context: typer.Context,
    kind: KindArgument,
    name: NameArgument,
    *,
    if_revision: IfRevision = None,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 20.0,
) -> None:
    """Take a record away; its past stays in `nm-bus log`.

    Example: nm-bus record delete endpoint n1.llnl.gov.web

    Exit codes: 0 agreed, 2 refused or something to correct, 3 no answer, or accepted only.
    """
    key = f"record/{kind}/{name}"
    with connected(context, config, timeout) as client:
        ask_for(key, lambda: client.delete(key, if_revision=if_revision), json=json)
