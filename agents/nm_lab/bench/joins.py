"""`nm-bus bench joins`: how long many members take to join one supernode, and what it costs.

The broker, the supernode, its ledger on disk and the members' inboxes are real. Members are
simulated: they say hello over a few connections, and what comes to their inboxes stays there.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from pika.adapters.blocking_connection import BlockingChannel

from nm_bus.client import Client
from nm_bus.core.ledger.rules.members import JOINED
from nm_bus.errors import NmBusError, TimedOutError
from nm_bus.messages import NodeId, Seconds, Standing
from nm_bus.settings import Limits, Tls
from nm_bus.topology import UPDATES, inbox_queue
from nm_lab.bench.crowd import channel, depth
from nm_lab.bench.ground import SUPERNODE, admit_impersonator, impersonator
from nm_lab.bench.joining import (
    EVERYTHING,
    NAMES,
    ONE_COMPONENT,
    Feeds,
    JoinedCrowd,
    JoinFigures,
    JoinWave,
)
from nm_lab.bench.newcomers import NewcomerCrowd, newcomers
from nm_lab.bench.traffic import members
from nm_lab.federation.building import Federation, Plan

PROJECT = "joins"

WITNESS = "bench.updates"
"""The bench's queue of every update, which says when the last one was published."""

LOOK: Seconds = 0.1
ANSWER: Seconds = 20.0
SETTLING: Seconds = 60.0

STANDSTILL: Seconds = 60.0
"""How long nothing may happen before it is given up."""

Progress = Callable[[str], None]


def joins(folder: Path, count: int, compared: int, progress: Progress) -> JoinFigures:
    """Let `compared` members join that hear everything, as many that hear one component, and then
    `count` of these, where that is another number. After each crowd `compared` others join.

    Raises NmBusError.
    """
    crowds = [(EVERYTHING, compared), (ONE_COMPONENT, compared)]
    if count != compared:
        crowds.append((ONE_COMPONENT, count))
    places = enumerate(crowds, 1)
    return JoinFigures(
        [_joined(folder / str(n), (size, compared), feeds, progress) for n, (feeds, size) in places]
    )


def _joined(folder: Path, sizes: tuple[int, int], feeds: Feeds, progress: Progress) -> JoinedCrowd:
    """Build a federation, let a crowd and others join it, and end everything."""

    def tell(text: str) -> None:
        progress(f"{sizes[0]} members that hear {NAMES[feeds]}: {text}")

    limits = Limits(members=sum(sizes))
    plan = Plan(folder, PROJECT, (SUPERNODE,), {}, network="lan", limits=limits)
    federation = Federation(plan, tell)
    federation.build()
    try:
        federation.start_brokers()
        admit_impersonator(federation.running[SUPERNODE].api, PROJECT, configure=".*")
        federation.start_supernode(SUPERNODE)
        with Client(federation.administrator, timeout=ANSWER) as client:
            ground = JoinGround(federation, client, impersonator(folder), feeds, tell)
            return ground.measure([member.node for member in members(sum(sizes))], sizes[0])
    finally:
        federation.stop()


@dataclass(slots=True)
class JoinGround:
    """A federation that runs, with a ledger that no member has joined. `tls` is of the bench's
    user, and each member lives by `feeds`."""

    federation: Federation
    client: Client
    tls: Tls
    feeds: Feeds
    tell: Progress

    def measure(self, nodes: list[NodeId], count: int) -> JoinedCrowd:
        """Let the first `count` join and then the others, and see what it cost."""
        broker = self.federation.settings[SUPERNODE].broker
        crowd, others = nodes[:count], nodes[count:]
        with channel(broker, PROJECT, self.tls) as side:
            side.queue_declare(WITNESS, durable=True)
            side.queue_bind(WITNESS, UPDATES, "#")
            first = self._wave(side, crowd)
            before = self._messages(side, crowd)
            second = self._wave(side, others)
            came = self._messages(side, crowd) - before
        return JoinedCrowd(self.feeds, first, second, came)

    def _wave(self, side: BlockingChannel, nodes: list[NodeId]) -> JoinWave:
        before = self._settled()
        supernode = self.federation.settings[SUPERNODE]
        with newcomers(supernode, self.tls, nodes, self.feeds) as crowd, self._used() as used:
            published = depth(side, WITNESS)
            joined, welcomed = self._join(crowd, nodes, before)
            after = self.client.standing()
            self._await_updates(side, published + after.revision - before.revision)
        return JoinWave(
            members=len(nodes),
            joined=joined,
            welcomed=welcomed,
            hellos=crowd.hellos,
            revisions=after.revision - before.revision,
            slots=after.height - before.height,
            supernode=used["supernode"],
            broker=used["broker"],
        )

    def _settled(self) -> Standing:
        """How the ledger stands before, once the supernode answers."""
        deadline = time.monotonic() + SETTLING
        while True:
            try:
                return self.client.standing()
            except NmBusError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK)

    def _join(
        self, crowd: NewcomerCrowd, nodes: list[NodeId], before: Standing
    ) -> tuple[Seconds, Seconds]:
        """When the last member had joined, and when the last inbox was made."""
        joined, welcomed, had, count = 0.0, 0.0, (0, 0), len(nodes)
        began = moved = time.monotonic()
        crowd.begin()
        while not (joined and welcomed):
            time.sleep(LOOK)
            have = crowd.welcomed, self._revisions(before)
            now = time.monotonic()
            welcomed = welcomed or (now - began if have[0] >= count else 0.0)
            if not joined and have[1] >= count:
                joined = now - began if self._have_joined(nodes) else 0.0
            self.tell(f"{have[0]} have their inbox, {have[1]} joined")
            had, moved = have, now if have != had else moved
            if now - moved > STANDSTILL:
                raise TimedOutError(
                    f"{have[0]} of {count} members have their inbox and {have[1]} have joined, and "
                    f"nothing has happened for {STANDSTILL:g} s; see the log of the supernode"
                )
        return joined, welcomed

    def _revisions(self, since: Standing) -> int:
        """How many there are since then; none where the supernode is too busy to answer."""
        try:
            return self.client.standing().revision - since.revision
        except TimedOutError:
            return 0

    def _have_joined(self, nodes: list[NodeId]) -> bool:
        entries = self.client.entries("member/")
        joined = {entry.key for entry in entries if entry.value["state"] == JOINED}
        return joined >= {f"member/{node}" for node in nodes}

    def _await_updates(self, side: BlockingChannel, count: int) -> None:
        deadline = time.monotonic() + SETTLING
        while (there := depth(side, WITNESS)) < count:
            if time.monotonic() > deadline:
                raise TimedOutError(f"{there} of {count} updates are published")
            self.tell(f"{there} of {count} updates are published")
            time.sleep(LOOK)

    def _messages(self, side: BlockingChannel, nodes: list[NodeId]) -> int:
        self.tell("counting what came to the inboxes")
        return sum(depth(side, inbox_queue(node)) for node in nodes)

    @contextmanager
    def _used(self) -> Iterator[dict[str, Seconds]]:
        """Gives, at the end, the processor time that each program used within."""
        processes = {
            "supernode": psutil.Process(self.federation.supernode(SUPERNODE).pid),
            "broker": psutil.Process(self.federation.running[SUPERNODE].pid),
        }
        before = {name: spent(process) for name, process in processes.items()}
        used: dict[str, Seconds] = {}
        yield used
        used |= {name: spent(process) - before[name] for name, process in processes.items()}


def spent(process: psutil.Process) -> Seconds:
    """The processor time that a process has used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
