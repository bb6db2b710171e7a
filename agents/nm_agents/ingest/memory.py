"""What an ingest process keeps over a restart: each member whole, state and windows in one row.

A cycle stores every member that changed since the cycle began, a few at a tick; when it ends, all
metrics that were read before it began are on disk and may be acknowledged. A sequence number is
stored with the windows that it counted in, so that what is read again counts once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from nm_bus.core.ingest import Ingest, Member
from nm_bus.core.windows import Kept, Windows
from nm_bus.messages import NodeId, Seconds, domain_key
from nm_bus.storage.base import Store

KIND = "member"


class Row(msgspec.Struct):
    """One member as it is stored."""

    member: Member
    kept: Kept


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Row)


@dataclass(slots=True)
class Memory:
    """The members of one partition on disk."""

    store: Store
    ingest: Ingest
    windows: Windows
    _dirty: set[NodeId] = field(default_factory=set)
    _cycle: list[NodeId] = field(default_factory=list)

    def load(self, now: Seconds) -> None:
        """Take up every stored member. A row of another layout is left out and told anew."""
        for node, row in self._rows():
            self.ingest.members[domain_key(node)] = row.member
            self.windows.load(node, row.kept, now)

    def _rows(self) -> Iterator[tuple[NodeId, Row]]:
        for node, body in self.store.load(KIND):
            try:
                yield node, _decoder.decode(body)
            except msgspec.DecodeError:
                continue

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
        """Store some members of the cycle; True when it is done."""
        now, self._cycle = self._cycle[:most], self._cycle[most:]
        rows = {node: self._row(node) for node in now}
        kept = {node: row for node, row in rows.items() if row is not None}
        gone = [node for node, row in rows.items() if row is None]
        if rows:
            with self.store.transaction():
                self.store.put_many(KIND, kept)
                self.store.delete(KIND, gone)
        return not self._cycle

    def save(self) -> None:
        """Store everything that changed, at once: the process ends."""
        self._dirty.update(self._cycle, (m.node for m in self.ingest.members.values()))
        self._cycle = []
        self.begin()
        self.step(len(self._cycle))

    def _row(self, node: NodeId) -> bytes | None:
        member = self.ingest.members.get(domain_key(node))
        return None if member is None else _encoder.encode(Row(member, self.windows.dump(node)))
