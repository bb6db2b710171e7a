"""A document at a revision, and its versions, read from the ledger."""

from itertools import islice

from nm_bus.client import Client
from nm_bus.codes import UNKNOWN_KEY
from nm_bus.core.ledger.history import Version, versions
from nm_bus.errors import RefusedError

MOST_VERSIONS = 1_000
"""How many versions are read to show a document's past."""


def past_of(client: Client, key: str, limit: int = MOST_VERSIONS) -> list[Version]:
    """The last versions of a document, the oldest first. Raises RefusedError when it has none."""
    found = versions(islice(client.history(key), limit))
    if not found and client.past_from > 1:
        raise RefusedError(f"{key}: {not_kept(client.past_from)}", UNKNOWN_KEY)
    if not found:
        raise RefusedError(f"there never was a {key}; see `nm-bus config list`", UNKNOWN_KEY)
    return found


def not_kept(since: int) -> str:
    """What to do where the past that was asked for is not here."""
    return (
        f"no supernode that answered keeps what was before revision {since}; one that has been"
        " there for longer may: name it in the settings"
    )


def version_at(client: Client, key: str, revision: int) -> Version:
    """The version that a document had at a revision. Raises RefusedError when it had none."""
    standing = client.standing()
    if revision > standing.revision:
        raise RefusedError(
            f"there is no revision {revision} yet, the last is {standing.revision}", UNKNOWN_KEY
        )
    found = versions(islice(client.history(key, before=revision + 1), 1))
    if not found and client.past_from > 1:
        raise RefusedError(f"{key} at revision {revision}: {not_kept(client.past_from)}")
    if not found or found[0].content is None:
        raise RefusedError(
            f"there was no {key} at revision {revision}; see `nm-bus config history`",
            UNKNOWN_KEY,
        )
    return found[0]
