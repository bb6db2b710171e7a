"""`nm-bus config check`: what would be refused, seen before anything is proposed."""

from contextlib import closing
from typing import Annotated

import typer

from nm_agents.cli.config.arguments import (
    STDIN,
    FileArgument,
    SchemaOption,
    read_file,
    read_schema,
)
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen.console import say
from nm_agents.cli.screen.printable import as_json, printable
from nm_agents.exits import Exit
from nm_bus.checking.checker import Checker
from nm_bus.documents import Document


def check(
    context: typer.Context,
    file: FileArgument,
    *,
    component: Annotated[
        str,
        typer.Option("--component", metavar="NAME", help="Also against the schema kept there."),
    ] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Its name, unless the file's own.")
    ] = "",
    schema: SchemaOption = None,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Check a file as it is checked before it is published: name, size, text, schema, secrets.

    No supernode is asked but with --component and no --schema: then the ledger's is fetched.

    Example: nm-bus config check settings.json --schema settings.schema.json

    Exit codes: 0 it is fine, 1 it would be refused, 2 something to correct, 3 no answer.
    """
    name = name or ("document" if file == STDIN else file.name)
    content, given = read_file(file), read_schema(schema)
    if component and given is None:
        with connected(context, config, timeout) as client:
            entry = client.document(component, name)
            given = str(entry.value.get("schema", "")) if entry else ""
    document = Document(component or "component", name, content, given or "")
    with closing(Checker()) as checker:
        flaw = checker.why_no_document(document)
    if json:
        say(as_json({"file": str(file), "media_type": document.media_type, "refused": flaw}))
    else:
        say(f"{printable(str(file))}: {printable(flaw) or f'fine, {document.media_type}'}")
    raise typer.Exit(Exit.NEGATIVE if flaw else Exit.OK)
