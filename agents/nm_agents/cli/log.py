"""`nm-bus log` and `nm-bus show`: the ledger's past, the newest revision first."""

from functools import partial
from itertools import islice, takewhile
from typing import Annotated

import typer
from rich.text import Text

from nm_agents.cli.config.past import MissingPast
from nm_agents.cli.lists import ListForm, Output, show_list
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen.console import say, screen, show, warn
from nm_agents.cli.screen.entries import moment
from nm_agents.cli.screen.listing import SENTENCE, Field, ListView
from nm_agents.cli.screen.printable import as_json, cell, printable
from nm_bus.core.ledger.keys import FORMS, LOCKS, family, feed_of, is_key
from nm_bus.core.ledger.kinds import KINDS
from nm_bus.messages import Change, Update

PASSING = frozenset(kind for kind, family in KINDS if feed_of(f"{family}/") == LOCKS)
"""Kinds of changes that say little once they are over."""

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

    Sessions and locks, which come and go with each `lock run`, are left out without --all, --key,
    or a --kind of theirs. Supernodes keep the last 10,000 changes of documents, of members and of
    the like, and the last 2,000 of locks and sessions; older ones are in the state alone.

    Example: nm-bus log --since 812 --key config/thredds/catalog.xml

    Exit codes: 0 shown (nothing, too), 2 something to correct, 3 no answer, or another supernode
    may have more.
    """
    key = full_key(key)
    with connected(context, config, timeout) as client:
        past = client.history(key, without_locks=not (everything or key or kind in PASSING))
        newer = takewhile(lambda update: update.revision > since, past)
        found = list(islice(filter(partial(_is_wanted, kind), newer), limit + 1))
        missing = MissingPast.of(client)
    more, found = len(found) > limit, found[:limit]
    if more or missing.since <= since + 1:
        missing = MissingPast()
    if json or form is ListForm.JSON:
        say(as_json({"changes": found, "more": more, **missing.data()}, indent=True))
    else:
        which = f" of {printable(key)}" if key else ""
        such = "No such change" if since or kind or missing else "No change"
        begins = f" after revision {missing.since - 1}" if missing else ""
        show_list(LOG, found, f"{such}{which} was agreed{begins}.", form)
        _end(form, f"and older ones: --limit shows more than {limit}" if more else "", missing)
    raise typer.Exit(missing.verdict)


def _end(form: ListForm, more: str, missing: MissingPast) -> None:
    """What is not shown, if anything: beside the names, where these alone are wanted."""
    text = f"the past begins here: {missing.sentence}" if missing else more
    if text and form is ListForm.NAME:
        warn(text)
    elif text:
        show(screen(), Text(text, style="dim"))


def _is_wanted(kind: str, update: Update) -> bool:
    return not kind or kind in (update.change.kind, what_of(update.change))


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
