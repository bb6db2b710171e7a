"""The hash chain: every revision names the one before it.

The canonical form of a change is its JSON with sorted keys and no spaces, in UTF-8; fields that
have their default are left out. A value holds no fractions, so every language writes it alike
(RFC 8785 agrees with it then).
"""

import hashlib

import msgspec

from nm_bus.messages import Change

GENESIS = "0" * 64
"""The head before the first revision."""

_encoder = msgspec.json.Encoder(order="sorted")


def canonical(change: Change) -> bytes:
    """The bytes of a change, the same everywhere."""
    return _encoder.encode(change)


def signed_part(change: Change) -> bytes:
    """The bytes that an asker signs: all but the signature and the accepting supernode's stamp."""
    asked = msgspec.structs.replace(change, signature="", timestamp=0, supernode="")
    return canonical(asked)


def next_head(previous: str, revision: int, change: Change) -> str:
    """The head after a revision: sha256 of `<previous>\\n<revision>\\n<canonical change>`."""
    link = f"{previous}\n{revision}\n".encode() + canonical(change)
    return hashlib.sha256(link).hexdigest()
