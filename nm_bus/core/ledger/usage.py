"""How much of the ledger belongs to each principal, and which locks to each session.

It is kept up to date with each change, and derived from the entries alone, so all supernodes have
the same, whether they applied every change or began from a snapshot.
"""

from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field

import msgspec

from nm_bus.messages import Entry

RECORD, LOCK = "record", "lock"
"""The families that anybody may fill, and are counted."""


@dataclass(frozen=True, slots=True)
class Used:
    """How many keys, and how many bytes of values."""

    keys: int = 0
    bytes: int = 0


NOTHING = Used()

MOST_VALUES = 512 * 1024**2
"""How many bytes of values, as JSON, a ledger holds. All of it is in memory at every supernode."""


@dataclass(slots=True)
class Usage:
    """What each owner has of each counted family, each session of locks, and in `size` the bytes of
    all values."""

    entries: InitVar[Iterable[Entry]] = ()
    size: int = 0
    _used: dict[tuple[str, str], Used] = field(default_factory=dict)
    _locks: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.add(entry)

    def of(self, owner: str, family: str) -> Used:
        """What an owner has of a family."""
        return self._used.get((family, owner), NOTHING)

    def locks_of(self, session: str) -> list[str]:
        """The keys of the locks that a session holds, in their order."""
        return sorted(self._locks.get(session, ()))

    def add(self, entry: Entry) -> None:
        """A key has this entry from now on."""
        self._count(entry, 1)
        if session := _holder_of(entry):
            self._locks.setdefault(session, set()).add(entry.key)

    def drop(self, entry: Entry) -> None:
        """A key has this entry no more."""
        self._count(entry, -1)
        if session := _holder_of(entry):
            self._locks[session].discard(entry.key)
            if not self._locks[session]:
                del self._locks[session]

    def _count(self, entry: Entry, sign: int) -> None:
        size = sign * size_of(entry.value)
        self.size += size
        family = entry.key.partition("/")[0]
        if family not in (RECORD, LOCK):
            return
        owner = family, owner_of(entry)
        before = self._used.get(owner, NOTHING)
        after = Used(before.keys + sign, before.bytes + size)
        if after.keys:
            self._used[owner] = after
        else:
            del self._used[owner]


def owner_of(entry: Entry) -> str:
    """Whose it is: a lock's is in its value, any other is of who set it last."""
    owner = entry.value.get("owner") if entry.key.startswith(f"{LOCK}/") else None
    return owner if isinstance(owner, str) else entry.actor


def _holder_of(entry: Entry) -> str:
    """The session that holds a lock; empty for what is no lock."""
    session = entry.value.get("session") if entry.key.startswith(f"{LOCK}/") else None
    return session if isinstance(session, str) else ""


def size_of(value: object) -> int:
    """How many bytes a value takes, as JSON."""
    return len(msgspec.json.encode(value))
