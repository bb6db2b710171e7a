"""What a program has in hand, marked on disk: so no message is given again to a program it killed.

While a message is handled its digest stands in a small file that outlives the process, whatever
ends it. The next start finds it there. One death may be an operator's kill; a message that was in
hand at two is set aside when the broker brings it again.

Where handling ends later, as with what is stored by the second, only OWED stands there meanwhile:
any of many may be the cause. After two short lives that ended so, what is delivered again is
settled one by one, each with its own digest in the file.
"""

import logging
import mmap
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Self

import msgspec

from nm_bus.boundary import Unreadable, attempt
from nm_bus.codec import Reason, Rejected
from nm_bus.errors import StorageError
from nm_bus.messages import Seconds
from nm_bus.transport.base import Consume, Delivery

DEATHS = 2
"""A message in hand at so many ends of the program, in a row, is not handled any more."""

LOSSES = 5
"""The same for ends of the connection, which has more innocent ends than a program."""

SHORT_LIFE: Seconds = 60.0
"""Who lives longer was not killed by what was delivered again at the start."""

SLOW: Seconds = 1.0
"""What is handled longer than that is the first suspect when the connection is lost."""

MOST_SUSPECTS = 100
"""How many messages are remembered as suspects; the oldest are forgotten first."""

SIZE = 16
"""Bytes of a digest."""

_NOTHING = bytes(SIZE)
_OWED = b"\xff" * SIZE
_LOG = logging.getLogger(__name__)

DEADLY = Rejected(
    Reason.KILLED,
    f"it was in hand at {DEATHS} ends of the program in a row, or {LOSSES} of its connection",
)

Refuse = Callable[[Delivery, Rejected], None]


def _at_once() -> None:
    """Nothing is owed when the handler returns."""


@dataclass(slots=True)
class InHand:
    """The marker of one program; use it by `with`. Nothing is flushed: a process's end loses
    nothing of it, and a power cut is no message's fault."""

    path: Path
    clock: Callable[[], Seconds] = time.monotonic
    suspects: dict[str, int] = field(default_factory=dict)
    """The digests of messages that were in hand when the program ended, and how often."""
    _mark: mmap.mmap | None = None
    _last: bytes = _NOTHING
    _slow: bytes = _NOTHING
    _lost: tuple[bytes, int] = (_NOTHING, 0)

    def __enter__(self) -> Self:
        """Find out what was in hand at the last end. Raises StorageError."""
        try:
            mark = self._mark = _mapped(self.path)
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror or error}") from None
        self.suspects = self._load()
        last = mark[:]
        mark[:] = _NOTHING
        if last != _NOTHING:
            self._suspect(last)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the mark as it is: a program that fails in a handler has something in hand."""
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    def over(
        self, handler: Consume, refuse: Refuse, settle: Callable[[], None] = _at_once
    ) -> Consume:
        """The handler with the mark around it; `refuse` is given what was in hand too often.

        `settle` does at once all that is still owed for what was handled, its acknowledgement
        included; it is called only after a message that is in doubt.
        """
        mark, clock = self._mark, self.clock
        assert mark is not None
        after = _NOTHING if settle is _at_once else _OWED

        def handle(delivery: Delivery) -> None:
            digest = digest_of(delivery)
            doubtful = delivery.redelivered and self._is_doubtful(digest)
            if doubtful and self._is_deadly(digest):
                refuse(delivery, DEADLY)
                return
            mark[:], began = digest, clock()
            handler(delivery)
            if doubtful:
                settle()
                self._forget(digest)
            if clock() - began > SLOW:
                self._slow = digest
            self._last = digest
            mark[:] = after

        return handle

    def settled(self) -> None:
        """Nothing is owed any more: the program ends in good order."""
        if self._mark is not None:
            self._mark[:] = _NOTHING

    def lived(self) -> None:
        """The program has lived for SHORT_LIFE; its owner calls this once."""
        self._forget(_OWED)

    def lost(self) -> None:
        """The connection was lost: a message that is always the last one, or the slow one, when
        that happens is not handled any more. If it was acknowledged, it does not come again."""
        blamed = self._last if self._slow == _NOTHING else self._slow
        self._last = self._slow = _NOTHING
        if blamed == _NOTHING:
            return
        before, times = self._lost
        self._lost = blamed, times + 1 if blamed == before else 1
        if self._lost[1] == LOSSES:
            self._suspect(blamed, DEATHS)

    def _is_doubtful(self, digest: bytes) -> bool:
        suspects = self.suspects
        return bool(suspects) and (
            digest.hex() in suspects or suspects.get(_OWED.hex(), 0) >= DEATHS
        )

    def _is_deadly(self, digest: bytes) -> bool:
        return self.suspects.get(digest.hex(), 0) >= DEATHS

    def _suspect(self, digest: bytes, times: int = 1) -> None:
        count = self.suspects.pop(digest.hex(), 0) + times
        self.suspects[digest.hex()] = count
        for oldest in list(self.suspects)[:-MOST_SUSPECTS]:
            del self.suspects[oldest]
        _LOG.warning("%s in hand when the program or its connection ended", _named(digest))
        self._save()

    def _forget(self, digest: bytes) -> None:
        if self.suspects.pop(digest.hex(), 0):
            self._save()

    def _save(self) -> None:
        """As well as it goes: a full disk must not end the program that this is to protect."""
        draft = self._file.with_suffix(".new")
        try:
            draft.write_bytes(msgspec.json.encode(self.suspects))
            draft.replace(self._file)
        except OSError as error:
            _LOG.warning("%s cannot be written: %s", self._file, error.strerror or error)

    def _load(self) -> dict[str, int]:
        read = attempt(lambda: msgspec.json.decode(self._file.read_bytes(), type=dict[str, int]))
        return {} if isinstance(read, Unreadable) else read

    @property
    def _file(self) -> Path:
        return self.path.with_suffix(".suspects")


def _mapped(path: Path) -> mmap.mmap:
    """The file's one digest. It is written in full first: a hole in a file on a disk that is full
    would end the program when it is filled."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_size != SIZE:
            os.ftruncate(file, 0)
            os.write(file, _NOTHING)
        return mmap.mmap(file, SIZE)
    finally:
        os.close(file)


def digest_of(delivery: Delivery) -> bytes:
    """What makes a message the same one when it comes again."""
    return blake2b(delivery.body, digest_size=SIZE, key=delivery.queue.encode()[:64]).digest()


def _named(digest: bytes) -> str:
    return "some messages were" if digest == _OWED else f"a message ({digest.hex()}) was"
