"""`nm-bus config status`: which member runs which version, and who is behind."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from nm_agents.cli.config.keeping import why_nobody
from nm_agents.cli.options import Config, Json, Timeout, Under, client_on, opened
from nm_agents.cli.overview import fetch, under
from nm_agents.cli.screen.console import say, screen, show, warn
from nm_agents.cli.screen.figures import plural
from nm_agents.cli.screen.printable import as_json, cell
from nm_agents.cli.screen.status import table
from nm_agents.exits import Exit
from nm_bus.documents.names import PREFIX, named
from nm_bus.messages import MemberView, NodeId


@dataclass(frozen=True, slots=True)
class Standing:
    """What a member runs of a document: `wanted` is the ledger's revision, 0 when deleted there."""

    document: str
    running: int
    wanted: int
    trouble: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it is what the ledger has, and nothing went wrong."""
        return self.running == self.wanted and not self.trouble


@dataclass(frozen=True, slots=True)
class Follower:
    """A member as a follower of documents; `revision` is None when it never told what it runs."""

    node: NodeId
    health: str
    revision: int | None
    documents: tuple[Standing, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether it runs all that it keeps as the ledger has it."""
        return all(document.is_well for document in self.documents)


def status(
    context: typer.Context,
    document: Annotated[
        str, typer.Argument(metavar="[DOCUMENT]", help="Only this one, or this component's.")
    ] = "",
    *,
    site: Under = "",
    behind: Annotated[bool, typer.Option("--behind", help="Only who is behind.")] = False,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show which member runs which version of which document, those behind first.

    Members tell it with their reports; one that keeps no documents is not behind.

    Example: nm-bus config status thredds/catalog.xml --behind

    Exit codes: 0 nobody is behind, 1 somebody is, 2 something to mend, 3 nobody answered.
    """
    wanted = PREFIX + document.removeprefix(PREFIX).rstrip("/")
    with opened(context, config) as (bus, settings):
        entries = client_on(bus, settings, timeout).entries(wanted)
        revisions = {entry.key: entry.revision for entry in entries}
        members = under(fetch(bus, timeout), site).members
    found = followers(members, revisions, wanted)
    late = [follower for follower in found if not follower.is_well]
    shown = late if behind else found
    if json:
        say(as_json([_data(follower) for follower in shown], indent=True))
    else:
        _show(shown, len(found), len(late))
    if flaw := document and why_nobody(named(wanted)[0], members):
        warn(flaw)
    raise typer.Exit(Exit.NEGATIVE if late else Exit.OK)


def followers(
    members: Iterable[MemberView], revisions: dict[str, int], prefix: str = PREFIX
) -> list[Follower]:
    """Every member with what it runs of the documents under a prefix, those behind first."""
    found = [_follower(view, revisions, prefix) for view in members]
    return sorted(found, key=lambda f: (f.is_well, f.revision is None, f.node))


def _follower(view: MemberView, revisions: dict[str, int], prefix: str) -> Follower:
    state = view.state
    if state.running is None:
        return Follower(state.node, state.health, None)
    told = state.running.documents.keys() | state.running.troubles.keys()
    documents = tuple(
        Standing(
            key.removeprefix(PREFIX),
            state.running.documents.get(key, 0),
            revisions.get(key, 0),
            state.running.troubles.get(key, ""),
        )
        for key in sorted(told)
        if key == prefix or key.startswith(prefix.rstrip("/") + "/")
    )
    return Follower(state.node, state.health, state.running.revision, documents)


def _data(follower: Follower) -> dict[str, object]:
    documents = [
        {**msgspec.to_builtins(document), "behind": not document.is_well}
        for document in follower.documents
    ]
    return {
        "node": follower.node,
        "health": follower.health,
        "revision": follower.revision,
        "behind": not follower.is_well,
        "documents": documents,
    }


def _show(shown: list[Follower], count: int, late: int) -> None:
    console = screen()
    if shown:
        show(console, _table(shown))
    style = "bold red" if late else "green"
    show(console, Text(f"{late} of {plural(count, 'member')} behind", style=style))


def _table(shown: list[Follower]) -> Table:
    rows = table("member", "health", "has", "document", "runs", "ledger", "")
    for follower in shown:
        has = "-" if follower.revision is None else str(follower.revision)
        first = (cell(follower.node), cell(follower.health, "dim"), cell(has))
        for document in follower.documents:
            rows.add_row(*first, *_cells(document))
        if not follower.documents:
            rows.add_row(*first, cell("keeps none", "dim"), cell(""), cell(""), cell(""))
    return rows


def _cells(document: Standing) -> tuple[Text, ...]:
    style = "" if document.is_well else "bold red"
    wanted = str(document.wanted) if document.wanted else "deleted"
    why = document.trouble or ("" if document.is_well else "behind")
    runs = str(document.running) if document.running else "none"
    return cell(document.document), cell(runs, style), cell(wanted), cell(why, style)
