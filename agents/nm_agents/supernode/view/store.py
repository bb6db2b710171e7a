"""A supernode's view over a restart: what the others said last, shown as old until they speak."""

import logging
from dataclasses import dataclass, field
from functools import partial

import msgspec

from nm_bus.boundary import attempt
from nm_bus.core.view import Stream, View
from nm_bus.storage.base import Store

KIND = "stream"

_LOG = logging.getLogger(__name__)

_decoder = msgspec.msgpack.Decoder(Stream)


@dataclass(slots=True)
class ViewStore:
    """Stores a view's streams, one row each."""

    store: Store
    view: View
    _stored: set[str] = field(default_factory=set)

    def save(self) -> None:
        """Store every stream as it is now."""
        rows = {
            f"{origin}/{partition}": msgspec.msgpack.encode(stream)
            for (origin, partition), stream in self.view.streams.items()
        }
        with self.store.transaction():
            self.store.put_many(KIND, rows)
            self.store.delete(KIND, self._stored - rows.keys())
        self._stored = set(rows)

    def load(self) -> None:
        """Take up what was stored. A row of another layout is left out, and reported again."""
        unread = 0
        for key, body in self.store.load(KIND):
            self._stored.add(key)
            origin, _, partition = key.rpartition("/")
            stream = attempt(partial(_decoder.decode, body))
            if isinstance(stream, Stream) and partition.isdecimal():
                self.view.restore((origin, int(partition)), stream)
            else:
                unread += 1
        if unread:
            what = "the supernode's store: %d rows of kind %r cannot be read, and are left out"
            _LOG.warning(what, unread, KIND)
