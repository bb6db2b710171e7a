"""What an ingest process keeps over a restart: each member's state, and the minutes that changed.

A cycle stores every member that changed since the cycle began, a few at a tick; when it ends, all
metrics that were read before it began are on disk and may be acknowledged. A sequence number is
stored with the minutes that it counted in, so that what is read again counts once.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.ingest import Ingest, IngestedMember
from nm_bus.core.windows import PARTS, KeptWindow, Windows
from nm_bus.messages import NodeId, Seconds, domain_key
from nm_bus.storage.base import Store

MEMBERS = "member"
MINUTES = "minutes"
"""The kinds of rows. A member has one, and up to PARTS of its minutes."""
INHERITED = "inherited"
"""Marks a member that was taken over when the number of processes changed."""

Row = TypeVar("Row")

_LOG = logging.getLogger(__name__)

_encoder = msgspec.msgpack.Encoder()
_members = msgspec.msgpack.Decoder(IngestedMember)
_minutes = msgspec.msgpack.Decoder(KeptWindow)


@dataclass(slots=True)
class Memory:
    """The members of one partition on disk.

    What failed to be stored is not tried again: a StorageError must end the process, which then
    begins again from what is on disk and reads the rest again.
    """

    store: Store
    ingest: Ingest
    windows: Windows
    _dirty: set[NodeId] = field(default_factory=set)
    _cycle: list[NodeId] = field(default_factory=list)

    def load(self, now: Seconds) -> None:
        """Take up every stored member. A row of another layout is left out and told again."""
        inherited = {node for node, _ in self.store.load(INHERITED)}
        for node, member in self._rows(MEMBERS, _members):
            taken = self.ingest.inherited if node in inherited else self.ingest.members
            # the clock may have been set back meanwhile, and nothing was heard in the future
            member.heard, member.changed = min(member.heard, now), min(member.changed, now)
            taken[domain_key(node)] = member
        for key, kept in self._rows(MINUTES, _minutes):
            node = node_of(key)
            # without the number up to which they count, what is read again would count twice
            if self.ingest.known(domain_key(node)) is not None:
                self.windows.load(node, kept, now)

    def _rows(self, kind: str, decoder: msgspec.msgpack.Decoder[Row]) -> Iterator[tuple[str, Row]]:
        unread = 0
        for key, body in self.store.load(kind):
            row = attempt(partial(decoder.decode, body))
            if isinstance(row, Unreadable):
                unread += 1
            else:
                yield key, row
        if unread:
            what = "ingest.%d.db: %d rows of kind %r cannot be read, and are left out"
            _LOG.warning(what, self.ingest.partition, unread, kind)

    def changed(self, node: NodeId) -> None:
        """A member has something to be stored."""
        self._dirty.add(node)

    def begin(self) -> bool:
        """Begin a cycle with what changed so far; False while one is under way."""
        if self._cycle:
            return False
        self._cycle, self._dirty = list(self._dirty), set()
        return True

    def step(self, most: int) -> bool:
        """Store some members of the cycle; True when it is done. Raises StorageError."""
        now, self._cycle = self._cycle[:most], self._cycle[most:]
        known = {n: m for n in now if (m := self.ingest.known(domain_key(n))) is not None}
        if now:
            with self.store.transaction():
                self._put(known)
                self._drop([node for node in now if node not in known])
        return not self._cycle

    def flush(self) -> None:
        """Store everything that changed, at once. Raises StorageError."""
        self._dirty.update(self._cycle)
        self._cycle = []
        self.begin()
        self.step(len(self._cycle))

    def save(self) -> None:
        """Store every member, at once: the process ends. Raises StorageError."""
        self._dirty.update(m.node for m in self.ingest.members.values())
        self.flush()

    def _put(self, known: dict[NodeId, IngestedMember]) -> None:
        members = {node: _encoder.encode(member) for node, member in known.items()}
        minutes = {
            _key(node, part): _encoder.encode(kept)
            for node in known
            for part, kept in self.windows.dump_changes(node).items()
        }
        self.store.put_many(MEMBERS, members)
        self.store.put_many(MINUTES, minutes)
        ours = [node for node in known if domain_key(node) in self.ingest.members]
        self.store.delete(INHERITED, ours)

    def _drop(self, gone: list[NodeId]) -> None:
        self.store.delete(MEMBERS, gone)
        self.store.delete(INHERITED, gone)
        self.store.delete(MINUTES, [_key(node, part) for node in gone for part in range(PARTS)])


def database(folder: Path, partition: int) -> Path:
    """Where an ingest process keeps all this, in its supernode's folder."""
    return folder / f"ingest.{partition}.db"


def node_of(key: str) -> NodeId:
    """The member of a row: its id is the key, and the first part of its minutes' keys."""
    return key.partition("/")[0]


def _key(node: NodeId, part: int) -> str:
    return f"{node}/{part}"
