"""The bench's side of the simulated inboxes: begins their process, and hears when all have what."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from nm_bus.errors import TimedOutError
from nm_bus.messages import Seconds
from nm_lab.bench.listeners import AllHave, InboxCrowd

BEGINNING: Seconds = 30.0
"""How long all queues may take to be made and read."""

END: Seconds = 10.0


@dataclass(slots=True)
class Ears:
    """What a crowd of inboxes has said."""

    crowd: InboxCrowd
    _heard: dict[tuple[int, int], Seconds] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _ended: bool = False

    def read(self, lines: Iterator[bytes]) -> None:
        """Take what the crowd says, to its end."""
        for line in lines:
            heard = msgspec.json.decode(line, type=AllHave)
            with self._changed:
                self._heard[heard.revision, heard.number] = heard.at
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def when(self, within: Seconds, *, revision: int = 0, number: int = 0) -> Seconds:
        """When the last inbox had it, as soon as it does; raises TimedOutError."""
        what = (revision, number)
        with self._changed:
            self._changed.wait_for(lambda: what in self._heard or self._ended, within)
            if what in self._heard:
                return self._heard[what]
        state = "have ended" if self._ended else f"do not all have it after {within:g} s"
        raise TimedOutError(f"{self.crowd.count} simulated inboxes {state}; is the machine busy?")


@contextmanager
def listening(crowd: InboxCrowd) -> Iterator[Ears]:
    """Within, the inboxes of a crowd are read; raises TimedOutError when that does not begin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nm_lab.bench.listeners", msgspec.json.encode(crowd).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ears = Ears(crowd)
    reader = threading.Thread(target=ears.read, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        ears.when(BEGINNING)
        yield ears
    finally:
        process.stdin.close()
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(END)
        process.stdout.close()
