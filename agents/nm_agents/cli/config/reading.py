"""`nm-bus config get` and `nm-bus config list`: documents as they are, or were."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from nm_agents.cli.config.arguments import DocumentArgument
from nm_agents.cli.config.past import version_at
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.printable import as_json, cell, printable
from nm_agents.cli.screen.table import table
from nm_bus.client import Client, content_of
from nm_bus.codes import UNKNOWN_KEY
from nm_bus.core.ledger.history import Version
from nm_bus.documents import Document, named, stored
from nm_bus.documents.names import PREFIX
from nm_bus.errors import ConfigError, RefusedError
from nm_bus.messages import Entry


def get(
    context: typer.Context,
    document: DocumentArgument,
    *,
    revision: Annotated[
        int | None,
        typer.Option("--revision", metavar="REV", min=1, help="As it was at this revision."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it there.")
    ] = None,
    agreed: Annotated[
        bool, typer.Option("--agreed", help="After all that is agreed by now: slower, never old.")
    ] = False,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Write a document's bytes to standard output, exactly as they are.

    Example: nm-bus config get thredds/catalog.xml --output catalog.xml

    Exit codes: 0 it is there, 2 it is not, or something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        if revision is None:
            content, data = _now(client, document, agreed)
        else:
            content, data = _then(version_at(client, document, revision), document)
    if json:
        say(as_json({"key": document, **data}, indent=True))
    elif output is not None:
        try:
            output.write_bytes(content)
        except OSError as error:
            raise ConfigError(output, f"cannot be written: {error.strerror}") from None
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


Told = tuple[bytes, dict[str, object]]


def _now(client: Client, key: str, agreed: bool) -> Told:
    entry = client.get(key, agreed=agreed)
    if entry is None:
        raise RefusedError(f"there is no {key}; see `nm-bus config list`", UNKNOWN_KEY)
    about = {"revision": entry.revision, "actor": entry.actor, "time": entry.time}
    return _bytes(entry), about | entry.value


def _then(version: Version, key: str) -> Told:
    content = version.content or b""
    about = {"revision": version.revision, "actor": version.actor, "time": version.time}
    return content, about | stored(Document(*named(key), content), note=version.note)


def _bytes(entry: Entry) -> bytes:
    try:
        return content_of(entry.value)
    except ValueError as error:
        raise RefusedError(f"{entry.key}: {error}") from None


def list_documents(
    context: typer.Context,
    component: Annotated[str, typer.Argument(metavar="[COMPONENT]", help="Only its own.")] = "",
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """List the documents: their revision, size, and who changed them last. Times are UTC.

    Example: nm-bus config list thredds

    Exit codes: 0 listed (none, too), 2 something to correct, 3 no answer.
    """
    prefix = f"{PREFIX}{component}/" if component else PREFIX
    with connected(context, config, timeout) as client:
        found = list(client.entries(prefix))
    if json:
        say(as_json([_row(entry) for entry in found], indent=True))
    elif found:
        show(screen(), _table(found))
    else:
        none = f"No document of {printable(component)}; see `nm-bus config list`."
        show(screen(), Text(none if component else "No document is published.", style="dim"))


def _row(entry: Entry) -> dict[str, object]:
    """A document without its content."""
    value = entry.value
    return {
        "key": entry.key,
        "revision": entry.revision,
        "actor": entry.actor,
        "time": entry.time,
        "size": len(_bytes(entry)),
        "media_type": value.get("media_type", ""),
        "has_schema": bool(value.get("schema")),
        "note": value.get("note", ""),
    }


def _table(found: Sequence[Entry]) -> Table:
    rows = table("document", "revision", "size", "changed", "by", "note")
    for entry in found:
        rows.add_row(
            cell(entry.key.removeprefix(PREFIX)),
            cell(str(entry.revision)),
            cell(figures.size(len(_bytes(entry)))),
            cell(figures.agreed(entry.time)),
            cell(entry.actor, "dim"),
            cell(str(entry.value.get("note", "")), "dim"),
        )
    return rows
