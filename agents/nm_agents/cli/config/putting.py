"""`nm-bus config put`, `revert` and `delete`: what changes a document."""

from functools import partial
from typing import Annotated

import typer

from nm_agents.cli.config.arguments import (
    STDIN,
    DocumentArgument,
    DryRun,
    FileArgument,
    ForceOption,
    IfRevision,
    NoteOption,
    SchemaOption,
    read_file,
    read_schema,
    refuse,
)
from nm_agents.cli.config.keeping import in_words, still_missing, why_nobody
from nm_agents.cli.config.past import version_at
from nm_agents.cli.config.showing import show_diff
from nm_agents.cli.confirming import Yes, confirm
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.proposing import ask_for
from nm_agents.cli.screen.console import say, warn
from nm_agents.cli.screen.printable import as_json
from nm_agents.exits import Exit
from nm_bus.client import Client, content_of
from nm_bus.codes import UNKNOWN_KEY
from nm_bus.core.ledger import history
from nm_bus.documents import Document, named, stored
from nm_bus.documents.names import key_of, why_no_name
from nm_bus.errors import NmBusError, RefusedError
from nm_bus.messages import Entry, Seconds

TIMEOUT = 30.0

ComponentOption = Annotated[
    str, typer.Option("--component", metavar="NAME", help="Whose document it is.")
]
NameOption = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Its name, unless the file's own.")
]
WaitOption = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, help="For the members that keep the component."
    ),
]


def put(
    context: typer.Context,
    file: FileArgument,
    *,
    component: ComponentOption,
    name: NameOption = "",
    schema: SchemaOption = None,
    if_revision: IfRevision = None,
    note: NoteOption = "",
    force: ForceOption = False,
    dry_run: DryRun = False,
    wait: WaitOption = 0.0,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Publish a version of a document: checked here, agreed by the supernodes, sent to everyone.

    "Agreed" is for ever; "accepted, not agreed yet" is on one supernode's disk, and may still be
    refused. What is so already is not proposed again. With --wait it ends once every member that
    has documents of the component runs this version; who does not by then is named.

    Example: nm-bus config put catalog.xml --component thredds --note 'new server' --wait 60

    Exit codes: 0 agreed (or so already), 1 with --wait: not every member has it, 2 refused or
    something to correct, 3 accepted only, or no answer.
    """
    name = name or ("" if file == STDIN else file.name)
    if not name:
        raise typer.BadParameter("standard input has no name; give --name")
    refuse(key_of(component, name), why_no_name(component, name))
    content, given = read_file(file), read_schema(schema)
    with connected(context, config, timeout) as client:
        before = client.document(component, name)
        kept = str(before.value.get("schema", "")) if before else ""
        document = Document(component, name, content, kept if given is None else given)
        refuse(document.key, client.why_not(document, forced=force))
        if dry_run:
            _show(before, document, json)
            return
        if before is not None and if_revision is None and _is_so(before, document):
            _unchanged(before, json)
            revision = before.revision
        else:
            put_it = partial(client.put, component, name, content, schema=given, note=note)
            asking = partial(put_it, if_revision=if_revision, force=force)
            revision = ask_for(document.key, asking, json=json).revision
        if before is None:
            _say_if_nobody_keeps(client, component)
        if wait:
            _wait_for_members(client, (document.key, revision), wait)


def _say_if_nobody_keeps(client: Client, component: str) -> None:
    """A new document of a component that is unknown to all members may be a slip of the pen."""
    try:
        flaw = why_nobody(component, client.status().members)
    except NmBusError:
        return  # it is agreed; that the members could not be asked about takes nothing from it
    if flaw:
        warn(f"{flaw}. Was that the name?")


def _wait_for_members(client: Client, version: tuple[str, int], wait: Seconds) -> None:
    key, revision = version
    late = still_missing(client, key, revision, wait=wait)
    warn(in_words(late, wait))
    if late:
        raise typer.Exit(Exit.NEGATIVE)


def _is_so(before: Entry, document: Document) -> bool:
    return (
        _content(before) == document.content and before.value.get("schema", "") == document.schema
    )


def _content(entry: Entry | None) -> bytes | None:
    try:
        return content_of(entry.value) if entry else None
    except ValueError:
        return b""


def _unchanged(before: Entry, json: bool) -> None:
    if json:
        say(as_json({"key": before.key, "state": "unchanged", "revision": before.revision}))
    else:
        say(f"{before.key}: is so already, since revision {before.revision}")


def _show(before: Entry | None, document: Document, json: bool) -> None:
    """What a proposal would change."""
    label = f"revision {before.revision}" if before else "not there"
    lines = history.diff(_content(before), document.content, (label, "new"))
    if json:
        say(as_json({"key": document.key, "changes": bool(lines), "diff": lines}))
    elif lines:
        show_diff(lines)
    else:
        say(f"{document.key}: nothing would change")


def revert(
    context: typer.Context,
    document: DocumentArgument,
    *,
    to: Annotated[
        int, typer.Option("--to", metavar="REV", min=1, help="As it was at this revision.")
    ],
    note: NoteOption = "",
    force: ForceOption = False,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Publish a document again as it was at a revision. Nothing is lost: it is a new version.

    Who changes it meanwhile comes first: then nothing is reverted.

    Example: nm-bus config revert thredds/catalog.xml --to 812

    Exit codes: 0 agreed (or so already), 2 refused or something to correct, 3 accepted only, or
    no answer.
    """
    with connected(context, config, timeout) as client:
        version = version_at(client, document, to)
        now = client.get(document)
        schema = str(now.value.get("schema", "")) if now else ""
        wanted = Document(*named(document), version.content or b"", schema)
        refuse(document, client.why_not(wanted, forced=force))
        if dry_run:
            _show(now, wanted, json)
        elif now is not None and _is_so(now, wanted):
            _unchanged(now, json)
        else:
            value = stored(wanted, note=note, reverts=version.revision)
            expected = now.revision if now else 0
            ask_for(
                document,
                lambda: client.propose("set", document, value, expected=expected),
                json=json,
            )


def delete(
    context: typer.Context,
    document: DocumentArgument,
    *,
    if_revision: IfRevision = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Take a document away at every member. Its versions stay in the history.

    Example: nm-bus config delete thredds/catalog.xml

    Exit codes: 0 agreed, 1 it was not confirmed, 2 refused or something to correct, 3 accepted
    only, or no answer.
    """
    with connected(context, config, timeout) as client:
        expected = _revision(client, document) if if_revision is None else if_revision
        confirm(f"{document} is taken away at every member", yes=yes, dry_run=dry_run)
        ask_for(document, lambda: client.delete(document, if_revision=expected), json=json)


def _revision(client: Client, key: str) -> int:
    entry = client.get(key)
    if entry is None:
        raise RefusedError(f"there is no {key}; see `nm-bus config list`", UNKNOWN_KEY)
    return entry.revision
