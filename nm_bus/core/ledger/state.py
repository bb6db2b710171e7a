"""What the ledger holds after a revision: one flat map of keys to entries, and the answers.

A state is owned by one supernode and changed by `applying` alone. What is derived of it (the order
of keys, the voters) is kept beside it and is no part of a snapshot.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Any

from nm_bus.core.ledger.answers import Answered, Answers
from nm_bus.core.ledger.keys import SUPERNODES
from nm_bus.core.ledger.loads import Loads
from nm_bus.core.ledger.usage import Usage, Used
from nm_bus.core.ledger.voters import voter_id
from nm_bus.messages import ChangeId, Entry, FeedPlace, Micros, Proposed, VoterId
from nm_bus.messages.base import Nested

_LAST = "\U0010ffff"


class StateSnapshot(Nested, frozen=True):
    """A whole state as data: entries in the order of their keys, askers in that of their use."""

    project: str
    epoch: int
    revision: int
    head: str
    time: Micros
    entries: tuple[Entry, ...]
    answers: tuple[Answered, ...] = ()
    floor: int = 0
    """See `nm_bus.core.ledger.answers`."""
    feeds: tuple[FeedPlace, ...] = ()
    """The last place of each feed, in the order of their names."""


class State:
    """The ledger at a revision. Reading costs no more than what is read."""

    def __init__(
        self,
        project: str,
        *,
        epoch: int,
        revision: int,
        head: str,
        time: Micros = 0,
        entries: Iterable[Entry] = (),
        answers: Answers | None = None,
        feeds: Iterable[FeedPlace] = (),
    ) -> None:
        """Begin at a revision whose head is `head`."""
        self.project, self.epoch = project, epoch
        self.revision, self.head, self.time = revision, head, time
        self.entries = {entry.key: entry for entry in entries}
        self.answers = answers or Answers()
        self.feeds = {place.feed: place for place in feeds}
        self._keys = sorted(self.entries)
        self._usage = Usage(self.entries.values())
        self.loads = Loads(self.entries)
        """Who is at home where; changed by `put` and `drop` alone."""
        self._voters: frozenset[VoterId] | None = None
        self._standbys: frozenset[VoterId] | None = None

    @classmethod
    def of(cls, snapshot: StateSnapshot) -> "State":
        """The state that a snapshot was taken of."""
        return cls(
            snapshot.project,
            epoch=snapshot.epoch,
            revision=snapshot.revision,
            head=snapshot.head,
            time=snapshot.time,
            entries=snapshot.entries,
            answers=Answers(snapshot.answers, snapshot.floor),
            feeds=snapshot.feeds,
        )

    def snapshot(self) -> StateSnapshot:
        """All of it, as data that shares nothing that changes."""
        entries = tuple(self.entries[key] for key in self._keys)
        return StateSnapshot(
            self.project,
            self.epoch,
            self.revision,
            self.head,
            self.time,
            entries,
            self.answers.all(),
            self.answers.floor,
            tuple(self.feeds[name] for name in sorted(self.feeds)),
        )

    def __eq__(self, other: object) -> bool:
        """Whether both would go on alike for ever."""
        return isinstance(other, State) and self.snapshot() == other.snapshot()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def get(self, key: str) -> Entry | None:
        """The entry of a key, if there is one."""
        return self.entries.get(key)

    def value(self, key: str) -> dict[str, Any] | None:
        """The value of a key, if there is one."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def under(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """The entries whose keys begin with `prefix`, in the order of keys, after this key; none
        may come or go meanwhile."""
        first = bisect_left(self._keys, prefix)
        if after:
            first = max(first, bisect_right(self._keys, after))
        # not a slice, which would copy all keys for each page
        for at in range(first, bisect_left(self._keys, prefix + _LAST)):
            yield self.entries[self._keys[at]]

    def count(self, prefix: str) -> int:
        """How many keys begin with `prefix`."""
        return bisect_left(self._keys, prefix + _LAST) - bisect_left(self._keys, prefix)

    def used(self, owner: str, family: str) -> Used:
        """How much of a family of keys belongs to whom: records, locks."""
        return self._usage.of(owner, family)

    def locks_of(self, session: str) -> list[str]:
        """The keys of the locks that a session holds, in their order."""
        return self._usage.locks_of(session)

    @property
    def size(self) -> int:
        """How many bytes the values have together, as JSON."""
        return self._usage.size

    def answer(self, change: ChangeId) -> Proposed | None:
        """What became of a change, as far as that is remembered."""
        return self.answers.find(change)

    @property
    def voters(self) -> frozenset[VoterId]:
        """The supernodes that decide what comes next."""
        if self._voters is None:
            self._voters = self._with_role("voter")
        return self._voters

    @property
    def standbys(self) -> frozenset[VoterId]:
        """The supernodes that follow without a vote."""
        if self._standbys is None:
            self._standbys = self._with_role("standby")
        return self._standbys

    def put(self, entry: Entry) -> None:
        """Set a key; for `applying` alone."""
        before = self.entries.get(entry.key)
        if before is None:
            insort(self._keys, entry.key)
        else:
            self._forget(before)
        self._usage.add(entry)
        self.loads.add(entry)
        self.entries[entry.key] = entry
        self._touched(entry.key)

    def drop(self, key: str) -> None:
        """Delete a key that is there; for `applying` alone."""
        self._forget(self.entries.pop(key))
        del self._keys[bisect_left(self._keys, key)]
        self._touched(key)

    def _forget(self, entry: Entry) -> None:
        self._usage.drop(entry)
        self.loads.drop(entry)

    def _touched(self, key: str) -> None:
        if key.startswith(SUPERNODES):
            self._voters = self._standbys = None

    def _with_role(self, role: str) -> frozenset[VoterId]:
        return frozenset(
            voter_id(entry.key.removeprefix(SUPERNODES), entry.value["incarnation"])
            for entry in self.under(SUPERNODES)
            if entry.value["role"] == role
        )
