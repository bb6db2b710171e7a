"""`nm-bus config status`: which member runs which version, and who is behind."""

from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from nm_agents.cli.config.keeping import why_nobody
from nm_agents.cli.options import Config, Json, Timeout, Under, connected
from nm_agents.cli.screen.console import say, screen, show, warn
from nm_agents.cli.screen.figures import plural
from nm_agents.cli.screen.printable import as_json, cell
from nm_agents.cli.screen.table import table
from nm_agents.exits import Exit
from nm_bus.client.federation.documents import MemberDocuments, RunningDocument, documents_of
from nm_bus.client.federation.picture import under
from nm_bus.documents.names import PREFIX, named


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

    Exit codes: 0 none is behind, 1 somebody is, 2 something to correct, 3 no answer.
    """
    wanted = PREFIX + document.removeprefix(PREFIX).rstrip("/")
    with connected(context, config, timeout) as client:
        revisions = {entry.key: entry.revision for entry in client.entries(wanted)}
        members = under(client.status(), site).members
    found = documents_of(members, revisions, wanted)
    late = [member for member in found if not member.is_well]
    shown = late if behind else found
    if json:
        say(as_json([_data(member) for member in shown], indent=True))
    else:
        _show(shown, len(found), len(late))
    if flaw := document and why_nobody(named(wanted)[0], members):
        warn(flaw)
    raise typer.Exit(Exit.NEGATIVE if late else Exit.OK)


def _data(member: MemberDocuments) -> dict[str, object]:
    documents = [
        {**msgspec.to_builtins(document), "behind": not document.is_well}
        for document in member.documents
    ]
    return {
        "node": member.node,
        "health": member.health,
        "feeds": member.feeds,
        "behind": not member.is_well,
        "documents": documents,
    }


def _show(shown: list[MemberDocuments], count: int, late: int) -> None:
    console = screen()
    if shown:
        show(console, _table(shown))
    style = "bold red" if late else "green"
    show(console, Text(f"{late} of {plural(count, 'member')} behind", style=style))


def _table(shown: list[MemberDocuments]) -> Table:
    rows = table("member", "health", "document", "runs", "ledger", "")
    for member in shown:
        first = (cell(member.node), cell(member.health, "dim"))
        for document in member.documents:
            rows.add_row(*first, *_cells(document))
        if not member.documents:
            none = "tells nothing" if member.feeds is None else "keeps none"
            rows.add_row(*first, cell(none, "dim"), cell(""), cell(""), cell(""))
    return rows


def _cells(document: RunningDocument) -> tuple[Text, ...]:
    style = "" if document.is_well else "bold red"
    wanted = str(document.wanted) if document.wanted else "deleted"
    why = document.trouble or ("" if document.is_well else "behind")
    runs = str(document.running) if document.running else "none"
    return cell(document.document), cell(runs, style), cell(wanted), cell(why, style)
