"""Pages that came in any order, in a file that lives as long as they are wanted and no longer.

It is no store: nothing is flushed, and what an earlier life left is thrown away.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nm_bus.errors import StorageError


class PageFile:
    """Numbered pages of bytes, at most `max_bytes` together. Every method but `clear` raises
    StorageError; then `clear` it."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path, self._max = path, max_bytes
        self._ready = False
        self._places: dict[int, tuple[int, int]] = {}
        self._size = 0

    def room(self) -> int:
        """How many bytes the disk has left."""
        with self._plainly():
            return shutil.disk_usage(self.path.parent).free

    def begin(self) -> None:
        """Make it empty and ready."""
        self.clear()
        with self._plainly():
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        self._ready = True

    def put(self, number: int, body: bytes) -> None:
        """Take a page that is not there yet."""
        if not self._ready:
            raise StorageError(f"{self.path}: it was thrown away")
        if self._size + len(body) > self._max:
            raise StorageError(f"{self.path}: it has reached its limit of {self._max} bytes")
        with self._plainly(), self.path.open("ab") as file:
            file.write(body)
        self._places[number] = self._size, len(body)
        self._size += len(body)

    def pages(self) -> Iterator[bytes]:
        """All of them, in the order of their numbers, one in memory at a time."""
        for number in sorted(self._places):
            start, size = self._places[number]
            yield self._read(start, size)

    def clear(self) -> None:
        """Throw it away. What cannot be thrown away is written over by the next one."""
        self._ready, self._places, self._size = False, {}, 0
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _read(self, start: int, size: int) -> bytes:
        with self._plainly(), self.path.open("rb") as file:
            file.seek(start)
            body = file.read(size)
        if len(body) < size:
            raise StorageError(f"{self.path}: it is shorter than it was written")
        return body

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror or error}") from error
