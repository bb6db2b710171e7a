"""Which file was in hand when the program died: one that ended it twice is set aside.

Written down before a file's content is parsed, and crossed out after. What stands there at a start
was in hand at the end of an earlier life, whatever that end was.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from nm_bus.boundary import Unreadable, attempt

FILE = ".nm-bus-in-hand.json"

MOST = 2
"""How often a program may die with the same content in hand: the first time may be a coincidence,
such as a machine that was switched off."""

SET_ASIDE = (
    f"the program ended {MOST} times while it read this file, so it is set aside;"
    f" change it, or remove {FILE} to have it read again"
)

Begun = dict[str, tuple[str, int]]
"""By key: the content's digest, and how often it was taken in hand without an end."""


class FileInHand:
    """The file that says it; without one, nothing is written down and nothing is set aside."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._begun: Begun = _read(file) if file else {}

    @contextmanager
    def holding(self, key: str, digest: str) -> Iterator[str]:
        """Within, this content is in hand; gives why it must not be read, or an empty text."""
        before, times = self._begun.get(key, ("", 0))
        times = times if before == digest else 0
        if times >= MOST:
            yield SET_ASIDE
            return
        self._begun[key] = (digest, times + 1)
        self._write()
        try:
            yield ""
        finally:
            # an exception is an end in good order too: whoever raised it was not killed
            del self._begun[key]
            self._write()

    def _write(self) -> None:
        """As well as it goes: a folder that takes no file is told of by its memory."""
        if self._file is None:
            return
        with suppress(OSError):
            if self._begun:
                self._file.write_bytes(msgspec.json.encode(self._begun))
            else:
                self._file.unlink(missing_ok=True)


def _read(file: Path) -> Begun:
    """A file that was cut short by the end itself says nothing."""
    try:
        text = file.read_bytes()
    except OSError:
        return {}
    begun = attempt(lambda: msgspec.json.decode(text, type=Begun))
    return {} if isinstance(begun, Unreadable) else begun
