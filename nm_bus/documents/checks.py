"""What is looked at before a document is proposed: each refusal is one sentence with the place.

Pure: the same document gets the same verdict wherever it is checked.
"""

from collections.abc import Callable

from nm_bus.documents.document import MOST_BYTES, Document
from nm_bus.documents.media import announced, text_of
from nm_bus.documents.names import why_no_name
from nm_bus.documents.parsing import why_unreadable
from nm_bus.documents.schema import why_invalid
from nm_bus.documents.secrecy import findings


def _flaw(document: Document) -> str:
    """What is wrong with what a document says, which may take long to find out."""
    return why_unreadable(document.content, document.media_type) or _against_schema(document)


def why_not(
    document: Document, *, forced: bool = False, flaw: Callable[[Document], str] = _flaw
) -> str:
    """Why a document may not be proposed, in one sentence; empty when it may.

    `forced`: somebody said that what looks like a secret is none. Nothing else can be forced.
    `flaw` looks at what the document says: here, or under limits (`nm_bus.checking`).
    """
    return (
        why_no_name(document.component, document.name)
        or _too_large(document)
        or _no_text(document)
        or flaw(document)
        or ("" if forced else _looks_secret(document))
    )


def _too_large(document: Document) -> str:
    if len(document.content) > MOST_BYTES:
        return f"is too large: {MOST_BYTES:,} bytes are allowed"
    if len(document.schema.encode()) > MOST_BYTES:
        return f"has a schema of more than {MOST_BYTES:,} bytes"
    return ""


def _no_text(document: Document) -> str:
    media = announced(document.name)
    if media is None or not media.is_text or text_of(document.content) is not None:
        return ""
    return f"is no text: {_first_flaw(document.content)}"


def _first_flaw(content: bytes) -> str:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} is no UTF-8; save it in UTF-8"
    return f"byte {content.index(0) + 1} is zero"


def _against_schema(document: Document) -> str:
    if not document.schema:
        return ""
    return why_invalid(document.content, document.media_type, document.schema)


def _looks_secret(document: Document) -> str:
    found = findings(document.content)
    if not found:
        return ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return (
        f"line {found[0].line} looks like {found[0].what}{more}, and every member can read the"
        " ledger; take it out, encrypt the document, or force it if it is no secret"
    )
