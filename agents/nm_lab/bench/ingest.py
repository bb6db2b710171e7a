"""`nm-bus bench ingest`: nm-bus's ingest beside pika alone and beside kombu, message for message.

All readers read the same messages from the same broker in turn, over several rounds; a ratio is
taken within its round, and the median of the rounds counts. Rates of different runs say nothing.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from tempfile import mkdtemp

import msgspec
from pika.adapters.blocking_connection import BlockingChannel

from nm_bus.errors import TimedOutError
from nm_bus.messages import Seconds
from nm_bus.topology import HEARTBEAT, METRICS
from nm_bus.transport.base import Outgoing
from nm_lab.bench.aims import Measured
from nm_lab.bench.crowd import channel, fill
from nm_lab.bench.ground import BenchBroker, sizes
from nm_lab.bench.readers.task import INGEST, KOMBU, PIKA, Spent, Task
from nm_lab.bench.traffic import heartbeats, members, metrics

MEMBERS = 500
TWICE = 2
"""How many processes share the members in the comparison of many with one."""

KOMBU_SHARE = 4
"""kombu gets a part of the messages only: it needs many times as long for each."""

PREFETCH = {HEARTBEAT: 1_000, METRICS: 65_000}
"""What the ingest process asks for; all readers do."""

PATIENCE: Seconds = 300.0
"""How long one reader may take."""

TWO = f"{INGEST} x {TWICE}"

AIMS = {
    HEARTBEAT: {(INGEST, PIKA): 0.8, (INGEST, KOMBU): 8.0, (TWO, INGEST): 0.9},
    METRICS: {(INGEST, PIKA): 0.4, (INGEST, KOMBU): 4.0, (TWO, INGEST): 0.9},
}
"""The least ratios of messages per second of processor time, of the first to the second."""

NAMES = {
    PIKA: "pika alone, no work",
    INGEST: "nm-bus ingest",
    KOMBU: "kombu + json + jsonschema",
    TWO: f"nm-bus ingest, {TWICE} processes",
}

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """One kind of messages, and what each reader did with them in each round: messages per
    second of processor time."""

    name: str
    bytes: int
    rates: dict[str, list[float]]

    def rate(self, reader: str) -> float:
        """The median over the rounds."""
        return median(self.rates[reader])

    def measured(self) -> list[Measured]:
        """Each ratio beside its aim."""
        return [
            Measured(f"{NAMES[one]} / {NAMES[other]}", self._ratio(one, other), least)
            for (one, other), least in AIMS[self.name].items()
        ]

    def _ratio(self, one: str, other: str) -> float:
        pairs = zip(self.rates[one], self.rates[other], strict=True)
        return median(a / b for a, b in pairs)


def compare(
    ground: BenchBroker, messages: int, rounds: int, now: Seconds, told: Told
) -> Iterator[StreamFigures]:
    """Measure heartbeats, then ten-metric messages."""
    for project, partitions in (("one", 1), ("two", TWICE)):
        ground.lay_out(project, sizes(messages, partitions))
    for stream, made in ((HEARTBEAT, heartbeats), (METRICS, metrics)):
        bodies = list(made(members(MEMBERS), messages, now))
        rates: dict[str, list[float]] = {reader: [] for reader in NAMES}
        with ExitStack() as open_ones:
            channels = {
                project: open_ones.enter_context(channel(ground.broker, project, ground.tls))
                for project in ("one", "two")
            }
            for number in range(1, rounds + 1):
                for reader, name in NAMES.items():
                    told(f"{stream}, round {number} of {rounds}: {name}")
                    rates[reader].append(_rate(ground, channels, reader, stream, bodies))
        yield StreamFigures(stream, sum(len(m.body) for m in bodies) // messages, rates)


def _rate(
    ground: BenchBroker,
    channels: dict[str, BlockingChannel],
    reader: str,
    stream: str,
    messages: list[Outgoing],
) -> float:
    if reader == KOMBU:
        messages = messages[: max(2 * MEMBERS, len(messages) // KOMBU_SHARE)]
    project, partitions = ("two", TWICE) if reader == TWO else ("one", 1)
    queues = [f"{stream}.{n}" for n in range(partitions)]
    depths = fill(channels[project], messages, queues)
    spent = run(
        [
            Task(
                reader=INGEST if reader == TWO else reader,
                file=str(ground.file),
                project=project,
                stream=stream,
                partition=n,
                messages=depth,
                warm=min(2 * MEMBERS // partitions, depth // 2),
                prefetch=PREFETCH[stream],
                folder=mkdtemp(dir=ground.folder),
            )
            for n, depth in enumerate(depths)
        ]
    )
    return sum(each.messages for each in spent) / sum(each.cpu for each in spent)


def run(tasks: list[Task]) -> list[Spent]:
    """Let a process do each task, side by side; none outlives this."""
    processes = [_start(task) for task in tasks]
    try:
        said = [process.communicate(timeout=PATIENCE) for process in processes]
    except subprocess.TimeoutExpired:
        raise TimedOutError(f"{tasks[0].reader} did not read all messages in time") from None
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [_read(task, out, errors) for task, (out, errors) in zip(tasks, said, strict=True)]


def _start(task: Task) -> "subprocess.Popen[bytes]":
    program = [sys.executable, "-m", "nm_lab.bench.readers.task"]
    return subprocess.Popen(
        [*program, msgspec.json.encode(task).decode()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _read(task: Task, out: bytes, errors: bytes) -> Spent:
    try:
        return msgspec.json.decode(out, type=Spent)
    except msgspec.DecodeError:
        said = errors.decode(errors="replace").strip().splitlines()
        last = said[-1] if said else "it said nothing"
        raise TimedOutError(f"the reader {task.reader} ended early: {last}") from None
