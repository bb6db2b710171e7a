"""What the commands on documents take: a document, a file, a schema, and how these are read."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nm_bus.codes import BAD_VALUE
from nm_bus.documents import MOST_BYTES
from nm_bus.documents.names import PREFIX, key_of, named, why_no_name
from nm_bus.errors import ConfigError, RefusedError

STDIN = Path("-")

READ = 4 * MOST_BYTES
"""How much of a file is read at most: enough to see that it is too large."""


def document_key(given: str) -> str:
    """A document's key, from `thredds/catalog.xml` or the key itself."""
    component, name = named(given if given.startswith(PREFIX) else PREFIX + given)
    flaw = why_no_name(component, name) if name else f"{given!r} names no document"
    if flaw:
        raise typer.BadParameter(f"{flaw}; give COMPONENT/NAME, as thredds/catalog.xml")
    return key_of(component, name)


DocumentArgument = Annotated[
    str,
    typer.Argument(
        metavar="DOCUMENT", callback=document_key, help="COMPONENT/NAME, as thredds/catalog.xml."
    ),
]
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file, or - for standard input.")
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema", metavar="FILE", help="A JSON Schema, kept for later versions; empty: none."
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Publish what looks like a secret and is none.")
]
NoteOption = Annotated[str, typer.Option("--note", help="Why, in a line for the history.")]
IfRevision = Annotated[
    int | None,
    typer.Option(
        "--if-revision", metavar="N", min=0, help="Only if it has this revision; 0: if it is new."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]


def read_file(file: Path) -> bytes:
    """A file's bytes, or those of standard input. Raises ConfigError."""
    if file == STDIN:
        return sys.stdin.buffer.read(READ)
    try:
        with file.open("rb") as stream:
            return stream.read(READ)
    except OSError as error:
        raise ConfigError(file, f"cannot be read: {error.strerror}") from None


def read_schema(file: Path | None) -> str | None:
    """A schema's text; None when none was given. Raises ConfigError."""
    if file is None:
        return None
    try:
        return read_file(file).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(file, "is no text in UTF-8") from None


def refuse(key: str, flaw: str) -> None:
    """Raise RefusedError when there is a flaw."""
    if flaw:
        raise RefusedError(f"{key}: {flaw}", BAD_VALUE)
