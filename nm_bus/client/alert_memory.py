"""Which alerts were shown already, remembered over restarts in a small bounded file.

Each line of the file is the hash of one transition's id, so that no id can be too long or break a
line. A line is written in one piece; one that was cut off by a crash matches nothing. When the
file holds twice what is remembered, it is replaced as a whole, by renaming.
"""

import fcntl
import hashlib
import os
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Self

from nm_bus.client.alerts import REMEMBERED
from nm_bus.errors import ConfigError, StorageError
from nm_bus.files.atomic import replace_file


class AlertFile:
    """The transitions that were shown: see `nm_bus.client.alerts.AlertMemory`.

    One process at a time may use it; a second one is refused.
    """

    def __init__(self, path: Path, limit: int = REMEMBERED) -> None:
        self._path, self._limit = path, limit
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lines = 0
        self._file = -1

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open()
            # the lock is beside the file, since replacing the file would replace its lock.
            beside = self._path.with_suffix(".lock")
            self._lock_file = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock_file)
                os.close(self._file)
                raise ConfigError(
                    self._path,
                    "another `alerts watch` of yours reads this queue",
                    "give it a --name",
                ) from None
            text = self._path.read_text(encoding="utf-8", errors="replace")
            lines = text.splitlines()
            self._lines = len(lines)
            for line in lines:
                self._keep(line)
            if text and not text.endswith("\n"):
                os.write(self._file, b"\n")
        except OSError as error:
            raise ConfigError(self._path, f"cannot be used: {error.strerror}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process use it."""
        os.close(self._file)
        os.close(self._lock_file)

    def __contains__(self, transition: str) -> bool:
        return _hash(transition) in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, transition: str) -> None:
        """Remember it, on disk too: only then may the message be acknowledged."""
        line = _hash(transition)
        self._keep(line)
        try:
            os.write(self._file, f"{line}\n".encode())
            self._lines += 1
            if self._lines > 2 * self._limit:
                self._replace()
        except OSError as error:
            raise StorageError(
                f"{self._path}: cannot remember what was shown: {error.strerror}"
            ) from None

    def _keep(self, line: str) -> None:
        self._ids[line] = None
        while len(self._ids) > self._limit:
            self._ids.popitem(last=False)

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def _replace(self) -> None:
        # a line that is lost to a power cut is an alert that is shown again, as each `add` is too
        replace_file(self._path, "".join(f"{i}\n" for i in self._ids).encode(), durable=False)
        os.close(self._file)
        self._open()
        self._lines = len(self._ids)


def _hash(transition: str) -> str:
    return hashlib.sha256(transition.encode()).hexdigest()
