"""What a reader has to do, and what it spent on it. No library of any reader is loaded here."""

import logging
import resource
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import msgspec

from nm_bus.messages import Seconds
from nm_bus.settings import SupernodeSettings, load
from nm_lab.bench.processors import measure_on_the_first

ACK_EACH = 200
"""Messages that are acknowledged at once, by every reader."""


class Task(msgspec.Struct, frozen=True):
    """Read `messages` that wait in a queue; `warm` of them come before the counting begins.

    By then a reader is connected and has heard every member once. `file` holds the supernode's
    settings, `folder` is the reader's own.
    """

    reader: str
    file: str
    project: str
    stream: str
    partition: int
    messages: int
    warm: int
    prefetch: int
    folder: str

    @property
    def queue(self) -> str:
        """The queue's name."""
        return f"{self.stream}.{self.partition}"

    @property
    def settings_file(self) -> Path:
        """The supernode's settings."""
        return Path(self.file)


class Spent(msgspec.Struct, frozen=True):
    """What a reader spent on so many messages: seconds of processor time, and of the clock."""

    messages: int
    cpu: Seconds
    wall: Seconds


@dataclass(slots=True)
class Meter:
    """What this process spends between two moments."""

    messages: int = 0
    cpu: Seconds = 0.0
    wall: Seconds = 0.0

    def begin(self, messages: int) -> None:
        """Count from here: so many messages came already."""
        self.messages, self.cpu, self.wall = messages, processor(), time.monotonic()

    def end(self, messages: int) -> Spent:
        """What was spent since the beginning, now that so many messages came."""
        return Spent(messages - self.messages, processor() - self.cpu, time.monotonic() - self.wall)


def processor() -> Seconds:
    """Processor time of this process so far, the kernel's part included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


PIKA, INGEST, KOMBU = "pika_alone", "ingest", "kombu_jsonschema"
"""The readers, named after their modules: each process loads its own libraries alone."""


def main() -> None:
    """Do the task that the only argument holds as JSON."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    measure_on_the_first()
    task = msgspec.json.decode(sys.argv[1], type=Task)
    reader = import_module(f"nm_lab.bench.readers.{task.reader}")
    spent: Spent = reader.read(task, load(task.settings_file, SupernodeSettings))
    print(msgspec.json.encode(spent).decode())


if __name__ == "__main__":
    main()
