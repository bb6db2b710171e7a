"""The hash chains: every revision names the one before it, in the whole and in its feed.

The canonical form of a change is its JSON with sorted keys and no spaces, in UTF-8; fields that
have their default are left out. A value holds no fractions, so every language writes it alike
(RFC 8785 agrees with it then).
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from nm_bus.messages import Change, Micros, Update

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


def digest(effects: Mapping[str, dict[str, Any] | None]) -> str:
    """What a change did: sha256 of the JSON of each key that it touched with its new value, null
    for a key that is gone, in the canonical form."""
    return hashlib.sha256(_encoder.encode(effects)).hexdigest()


def next_head(previous: str, revision: int, time: Micros, change: Change, done: str) -> str:
    """The head after a revision: sha256 of what was asked and of what it did (`done`, a `digest`).

    Its lines are the previous head, the revision, the time, the digest and the canonical change.
    """
    link = f"{previous}\n{revision}\n{time}\n{done}\n".encode() + canonical(change)
    return hashlib.sha256(link).hexdigest()


def feed_head(previous: str, number: int, head: str) -> str:
    """The head of a feed with its next update: sha256 of `<previous>\\n<number>\\n<head>`, where
    `head` is that of the whole."""
    return hashlib.sha256(f"{previous}\n{number}\n{head}".encode()).hexdigest()


def head_of(update: Update) -> str:
    """The head that an update must have, by all else that it says."""
    one = update
    return next_head(one.previous, one.revision, one.time, one.change, one.digest)


def feed_head_of(update: Update) -> str:
    """The head that its feed must have with an update, by all else that it says."""
    place = update.place
    return feed_head(place.previous, place.number, update.head)
