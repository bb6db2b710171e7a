"""What a program has in hand, marked on disk: so no message is given again to a program it killed.

While a message is handled its digest stands in a small file that outlives the process, whatever
ends it. The next start finds it there. One death may be an operator's kill; a message that was in
hand at two is set aside when the broker brings it again.

Where handling ends later, as with what is stored by the second, only OWED stands there meanwhile:
any of many may be the cause. After two short lives that ended so, what is delivered again is
settled in groups, and in smaller ones after each further death, until one message is left.
"""

import logging
import mmap
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from nm_bus.codec import Reason, Rejected
from nm_bus.errors import NmBusError, StorageError
from nm_bus.messages import Seconds
from nm_bus.transport.base import Consume, Delivery

DEATHS = 2
"""The program ended so often, in a row, while it handled a message: then it handles it no more."""

GROUPS = (64, 8, 1)
"""How many doubtful messages are settled at once: after DEATHS, after one more, and so on."""

LOSSES = 5
"""So often, in a row, the connection was lost after a message was handled for longer than SLOW."""

SHORT_LIFE: Seconds = 60.0
"""A program that ran longer was not ended by what was delivered to it again at its start."""

SLOW: Seconds = 1.0
"""What is handled for longer than that may be why the connection is lost."""

MOST_SUSPECTS = 100
"""How many messages are remembered as suspects; the oldest are forgotten first."""

SIZE = 16
"""Bytes of a digest."""

ROW = SIZE + 1
"""Bytes of a suspect: its digest, and how often it was in hand at an end."""

BYTES = SIZE + MOST_SUSPECTS * ROW

_NOTHING = bytes(SIZE)
_OWED = b"\xff" * SIZE
_LOG = logging.getLogger(__name__)

DEADLY = Rejected(
    Reason.KILLED,
    f"the program ended {DEATHS} times in a row while it handled this message, or lost its"
    f" connection {LOSSES} times in a row after it had handled it for over {SLOW:g} s",
)

Refuse = Callable[[Delivery, Rejected], None]


@dataclass(slots=True)
class InHand:
    """The marker of one program; use it by `with`. The file never grows, so a full disk is no
    obstacle. Nothing is flushed: a process's end loses nothing, and a power cut is no message's
    fault."""

    path: Path
    clock: Callable[[], Seconds] = time.monotonic
    suspects: dict[bytes, int] = field(default_factory=dict)
    """The digests of messages that were in hand when the program ended, and how often."""
    _file: mmap.mmap | None = None
    _unsettled: int = 0
    _slow: bytes = _NOTHING
    _lost: tuple[bytes, int] = (_NOTHING, 0)

    def __enter__(self) -> Self:
        """Find out what was in hand at the last end. Raises StorageError."""
        try:
            file = self._file = _mapped(self.path)
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror or error}") from None
        rows = (file[at : at + ROW] for at in range(SIZE, BYTES, ROW))
        self.suspects = {row[:SIZE]: row[SIZE] for row in rows if row[SIZE]}
        last = file[:SIZE]
        if last != _NOTHING:
            self._suspect(last)
        file[:SIZE] = _NOTHING
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Only an end that nobody foresaw leaves the mark: a full disk is no message's fault."""
        assert self._file is not None
        if kind is None or issubclass(kind, NmBusError | KeyboardInterrupt):
            self._file[:SIZE] = _NOTHING
        self._file.close()
        self._file = None

    def over(
        self, handler: Consume, refuse: Refuse, settle: Callable[[], None] | None = None
    ) -> Consume:
        """The handler with the mark around it; `refuse` is given what was in hand too often.

        `settle` does at once all that is still owed for what was handled, its acknowledgement
        included; it is called only after messages that are in doubt. Without it nothing is owed
        when the handler returns.
        """
        file, clock, mark = self._file, self.clock, slice(0, SIZE)
        assert file is not None
        after = _OWED if settle else _NOTHING

        def handle(delivery: Delivery) -> None:
            digest = digest_of(delivery)
            group = self._group(digest) if delivery.redelivered and self.suspects else 0
            if group and self._is_deadly(digest):
                refuse(delivery, DEADLY)
                return
            file[mark], began = digest, clock()
            handler(delivery)
            if group == 1:
                self._settled(digest, settle)
            if clock() - began > SLOW:
                self._slow = digest
            file[mark] = after
            if group > 1 and settle:
                self._settle_each(group, settle)

        return handle

    def _settled(self, digest: bytes, settle: Callable[[], None] | None) -> None:
        if settle:
            settle()
        self._forget(digest)

    def lived(self) -> None:
        """The program has lived for SHORT_LIFE; its owner calls this once."""
        self._forget(_OWED)

    def lost(self) -> None:
        """The connection was lost: a message that was handled for long each time when that
        happened is not handled any more. If it was acknowledged, it does not come again."""
        slow, self._slow = self._slow, _NOTHING
        if slow == _NOTHING:
            return
        before, times = self._lost
        self._lost = slow, times + 1 if slow == before else 1
        if self._lost[1] == LOSSES:
            self._suspect(slow, DEATHS)

    def _group(self, digest: bytes) -> int:
        """How many messages are settled at once with this one; 0 when it is not in doubt."""
        if digest in self.suspects:
            return 1
        further = self.suspects.get(_OWED, 0) - DEATHS
        return GROUPS[min(further, len(GROUPS) - 1)] if further >= 0 else 0

    def _settle_each(self, group: int, settle: Callable[[], None]) -> None:
        self._unsettled += 1
        if self._unsettled >= group:
            self._unsettled = 0
            settle()

    def _is_deadly(self, digest: bytes) -> bool:
        return self.suspects.get(digest, 0) >= DEATHS

    def _suspect(self, digest: bytes, times: int = 1) -> None:
        count = self.suspects.pop(digest, 0) + times
        self.suspects[digest] = min(count, 255)
        for oldest in list(self.suspects)[:-MOST_SUSPECTS]:
            del self.suspects[oldest]
        if digest != _OWED and self._is_deadly(digest):
            self.suspects.pop(_OWED, None)  # the cause is found
        _LOG.warning("%s being handled when the program or its connection ended", _named(digest))
        self._save()

    def _forget(self, digest: bytes) -> None:
        if self.suspects.pop(digest, 0):
            self._save()

    def _save(self) -> None:
        assert self._file is not None
        rows = b"".join(digest + bytes([count]) for digest, count in self.suspects.items())
        self._file[SIZE:] = rows.ljust(BYTES - SIZE, b"\0")


def _mapped(path: Path) -> mmap.mmap:
    """The file, whole: a hole in a file on a full disk would end the program when it is filled."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_size != BYTES:
            os.ftruncate(file, 0)
            os.posix_fallocate(file, 0, BYTES)
        return mmap.mmap(file, BYTES)
    finally:
        os.close(file)


def digest_of(delivery: Delivery) -> bytes:
    """What makes a message the same one when it comes again."""
    return blake2b(delivery.body, digest_size=SIZE, key=delivery.queue.encode()[:64]).digest()


def _named(digest: bytes) -> str:
    return "some messages were" if digest == _OWED else f"a message ({digest.hex()}) was"
