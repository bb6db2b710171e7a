"""A document at a revision, and its versions, read from the ledger; and what is said of those that
are not kept."""

from dataclasses import dataclass
from itertools import islice

from nm_agents.exits import Exit
from nm_bus.client import Client, content_of
from nm_bus.codes import UNKNOWN_KEY
from nm_bus.core.ledger.history import Version, versions
from nm_bus.errors import NmBusError, NotKeptError, RefusedError
from nm_bus.messages import NodeId

MOST_VERSIONS = 1_000
"""How many versions are read to show a document's past."""


@dataclass(frozen=True, slots=True)
class MissingPast:
    """From which revision on nothing is missing, and which other supernodes have more; 1: nothing
    is missing at all."""

    since: int = 1
    kept_by: tuple[NodeId, ...] = ()

    @classmethod
    def of(cls, client: Client) -> "MissingPast":
        """What is missing of what was just read."""
        return cls(client.past_from, client.past_kept_by)

    def __bool__(self) -> bool:
        return self.since > 1

    @property
    def sentence(self) -> str:
        """What is missing, and what to do about it."""
        if self.kept_by:
            names = " and ".join(self.kept_by)
            return (
                f"not all that was before revision {self.since} is at the supernodes that"
                f" answered; {names} may have it: name one in the settings, or try again later"
            )
        return (
            f"no supernode that answered keeps all that was before revision {self.since}; one that"
            " has been there for longer may: name it in the settings"
        )

    def error(self, what: str) -> NmBusError:
        """What is raised when what was asked for may be in what is missing."""
        text = f"{what}: {self.sentence}"
        return NotKeptError(text) if self.kept_by else RefusedError(text, UNKNOWN_KEY)

    @property
    def verdict(self) -> Exit:
        """How a command ends that has shown the rest."""
        return Exit.LATER if self.kept_by else Exit.OK

    def data(self) -> dict[str, object]:
        """For programs."""
        return {"past_from": self.since, "past_kept_by": self.kept_by}


@dataclass(frozen=True, slots=True)
class DocumentPast:
    """The last versions of a document, the oldest first; whether there are more of them, and what
    is missing before the first of these."""

    versions: list[Version]
    more: bool
    missing: MissingPast

    @property
    def is_whole(self) -> bool:
        """Whether the first of the versions is the document's first."""
        return not (self.more or self.missing)


def past_of(client: Client, key: str, limit: int = MOST_VERSIONS) -> DocumentPast:
    """The last versions of a document. Raises RefusedError when there never was one, NotKeptError
    when another supernode knows whether there was."""
    found = versions(islice(client.history(key), limit + 1))
    more = len(found) > limit
    missing = MissingPast() if more else MissingPast.of(client)
    if not found and missing:
        found = [_now(client, key, missing)]
    if not found:
        raise RefusedError(f"there never was a {key}; see `nm-bus config list`", UNKNOWN_KEY)
    return DocumentPast(found[-limit:], more, missing)


def _now(client: Client, key: str, missing: MissingPast) -> Version:
    """The document as it is, which the ledger knows however little of the past is kept."""
    entry = client.get(key)
    if entry is None:
        raise missing.error(key)
    try:
        content = content_of(entry.value)
    except ValueError:
        content = b""
    value = entry.value
    note, reverts = str(value.get("note", "")), int(value.get("reverts", 0))
    return Version(entry.revision, entry.actor, entry.time, content, note, reverts)


def version_at(client: Client, key: str, revision: int) -> Version:
    """The version that a document had at a revision. Raises RefusedError when it had none,
    NotKeptError when another supernode knows whether it had."""
    standing = client.standing()
    if revision > standing.revision:
        raise RefusedError(
            f"there is no revision {revision} yet, the last is {standing.revision}", UNKNOWN_KEY
        )
    found = versions(islice(client.history(key, before=revision + 1), 1))
    missing = MissingPast.of(client)
    if not found and missing:
        found = [_now(client, key, missing)]
        if found[0].revision > revision:
            raise missing.error(f"{key} at revision {revision}")
    if not found or found[0].content is None:
        raise RefusedError(
            f"there was no {key} at revision {revision}; see `nm-bus config history`",
            UNKNOWN_KEY,
        )
    return found[0]
