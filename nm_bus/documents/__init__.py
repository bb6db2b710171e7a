"""Configuration documents: how they are named, kept in a ledger's value, and checked before."""

from nm_bus.documents.checks import why_not
from nm_bus.documents.document import MOST_BYTES, Document, content_of, stored
from nm_bus.documents.names import key_of, named
from nm_bus.documents.secrecy import SecretSuspicion, findings, is_encrypted

__all__ = [
    "MOST_BYTES",
    "Document",
    "SecretSuspicion",
    "content_of",
    "findings",
    "is_encrypted",
    "key_of",
    "named",
    "stored",
    "why_not",
]
