"""What a program has in hand, marked on disk: so no message is given again to a program it killed.

While a message is handled its digest stands in a small file that outlives the process, whatever
ends it. The next start finds it there. One death may be an operator's kill; a message that was in
hand at two is set aside when the broker brings it again.
"""

import logging
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Self

import msgspec

from nm_bus.boundary import Unreadable, attempt
from nm_bus.codec import Reason, Rejected
from nm_bus.transport.base import Consume, Delivery

DEATHS = 2
"""A message in hand at so many ends of the program is not handled any more."""

MOST_SUSPECTS = 100
"""How many messages are remembered as suspects; the oldest are forgotten first."""

SIZE = 16
"""Bytes of a digest. All zero stands for nothing."""

_NOTHING = bytes(SIZE)
_LOG = logging.getLogger(__name__)

DEADLY = Rejected(Reason.KILLED, f"it was in hand each time when the program ended {DEATHS} times")

Refuse = Callable[[Delivery, Rejected], None]


@dataclass(slots=True)
class InHand:
    """The marker of one program; use it by `with`. Nothing is flushed: a process's end loses
    nothing of it, and a power cut is no message's fault."""

    path: Path
    suspects: dict[str, int] = field(default_factory=dict)
    """The digests of messages that were in hand when the program ended, and how often."""
    _mark: mmap.mmap | None = None

    def __enter__(self) -> Self:
        """Find out what was in hand at the last end. Raises OSError."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size != SIZE:
                os.ftruncate(file, SIZE)
            self._mark = mmap.mmap(file, SIZE)
        finally:
            os.close(file)
        self.suspects = self._load()
        last = self._mark[:]
        self._mark[:] = _NOTHING
        if last != _NOTHING:
            self._suspect(last.hex())
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the mark as it is: a program that fails in a handler has something in hand."""
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    def over(self, handler: Consume, refuse: Refuse) -> Consume:
        """The handler with the mark around it; `refuse` is given what was in hand too often."""
        mark = self._mark
        assert mark is not None

        def handle(delivery: Delivery) -> None:
            digest = digest_of(delivery)
            if delivery.redelivered and self.suspects and self._is_deadly(digest.hex()):
                refuse(delivery, DEADLY)
                return
            mark[:] = digest
            handler(delivery)
            mark[:] = _NOTHING

        return handle

    def _is_deadly(self, digest: str) -> bool:
        return self.suspects.get(digest, 0) >= DEATHS

    def _suspect(self, digest: str) -> None:
        count = self.suspects.pop(digest, 0) + 1
        self.suspects[digest] = count
        for oldest in list(self.suspects)[:-MOST_SUSPECTS]:
            del self.suspects[oldest]
        _LOG.warning("a message (%s) was in hand when the program ended, time %d", digest, count)
        draft = self._file.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(self.suspects))
        draft.replace(self._file)

    def _load(self) -> dict[str, int]:
        read = attempt(lambda: msgspec.json.decode(self._file.read_bytes(), type=dict[str, int]))
        return {} if isinstance(read, Unreadable) else read

    @property
    def _file(self) -> Path:
        return self.path.with_suffix(".suspects")


def digest_of(delivery: Delivery) -> bytes:
    """What makes a message the same one when it comes again."""
    return blake2b(delivery.body, digest_size=SIZE, key=delivery.queue.encode()[:64]).digest()
