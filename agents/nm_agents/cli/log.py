"""`nm-bus log` and `nm-bus show`: the ledger's past, the newest revision first."""

from functools import partial
from itertools import islice, takewhile
from typing import Annotated

import typer
from rich.text import Text

from nm_agents.cli.config.past import not_kept
from nm_agents.cli.lists import ListForm, Output, show_list
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen.console import screen, show
from nm_agents.cli.screen.entries import moment
from nm_agents.cli.screen.listing import SENTENCE, Field, ListView
from nm_agents.cli.screen.printable import cell, printable
from nm_bus.core.ledger.keys import FORMS, family, is_key
from nm_bus.messages import Change, Update

PASSING = frozenset({"session", "lock"})
"""Families of keys that say little once they are over."""

WORDS = {"voter": "promote", "standby": "demote"}
REJOINS = frozenset({"role", "incarnation"})

NOTE = 60
"""How much of a change's note a row shows."""


def log(
    context: typer.Context,
    *,
    since: Annotated[
        int, typer.Option("--since", metavar="REV", min=0, help="Only what came after it.")
    ] = 0,
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="Only this key, as member/n1.llnl.gov.")
    ] = "",
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="Only such changes, as promote or set.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Sessions and locks too.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="At most so many.")
    ] = 50,
    form: Output = ListForm.TABLE,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show what was agreed, the newest first: who changed what, and when. Times are UTC.

    Sessions and locks, which come and go with each `lock run`, are left out without --all, --kind
    or --key. Supernodes keep the last 10,000 revisions at least; older ones are in the state alone.

    Example: nm-bus log --since 812 --key config/thredds/catalog.xml

    Exit codes: 0 shown (nothing, too), 2 something to correct, 3 no answer.
    """
    key = full_key(key)
    with connected(context, config, timeout) as client:
        newer = takewhile(lambda update: update.revision > since, client.history(key))
        wanted = partial(_is_wanted, kind, everything or bool(kind or key))
        found = list(islice(filter(wanted, newer), limit + 1))
        begins = client.past_from
    more, found = len(found) > limit, found[:limit]
    which = f" of {printable(key)}" if key else ""
    such = "No such change" if since or kind else "No change"
    show_list(LOG, found, f"{such}{which} was agreed.", form, json=json)
    if json or form in (ListForm.JSON, ListForm.NAME):
        return
    console = screen()
    if more:
        show(console, Text(f"and older ones: --limit shows more than {limit}", style="dim"))
    elif begins > since + 1:
        show(console, Text(f"the past begins here: {not_kept(begins)}", style="dim"))


def _is_wanted(kind: str, everything: bool, update: Update) -> bool:
    if kind:
        return kind in (update.change.kind, what_of(update.change))
    return everything or family(update.change.key) not in PASSING


def what_of(change: Change) -> str:
    """What a change did, as the command that asks for it is called: `admit` has four of them."""
    asked = change.value or {}
    if change.kind != "admit":
        return change.kind
    if "incarnation" in asked:
        return "rejoin" if asked.keys() <= REJOINS else "add"
    return WORDS.get(asked.get("role", ""), change.kind)


def full_key(given: str) -> str:
    """A key as it was meant: `thredds/catalog.xml` is a document's, whose family is left out."""
    meant = f"config/{given}"
    return meant if given and family(given) not in FORMS and is_key(meant) else given


CHANGE = (
    Field("revision"),
    Field("what"),
    Field("key", least=24),
    Field("by", rank=1),
    Field("agreed", rank=2),
    Field("note", rank=3, least=SENTENCE),
)


def _row(update: Update) -> tuple[Text, ...]:
    change = update.change
    return (
        cell(str(update.revision)),
        cell(what_of(change)),
        cell(change.key),
        cell(change.actor),
        cell(moment(update.time)),
        cell(str((change.value or {}).get("note", "")), "dim", NOTE),
    )


LOG = ListView(CHANGE, _row, lambda update: str(update.revision))
