"""A federation of real brokers and real programs with mutual TLS, shared by a module's scenarios.

Each scenario finds it calm: everybody heard, no alert active. What each supernode says is written
down all the time, and so is every alert, as an administrator hears it.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nm_broker.program import Program
from nm_bus import codec
from nm_bus.client.carrier import Received
from nm_bus.client.connection import Bus
from nm_bus.client.following import QueueFollowing
from nm_bus.errors import NmBusError
from nm_bus.messages import (
    Alert,
    AlertState,
    Ask,
    Event,
    Health,
    MemberState,
    NodeId,
    Overview,
    Query,
    Subscribe,
)
from nm_bus.settings import AdministratorSettings, Limits, load, timing
from nm_bus.topology import vhost
from nm_lab.federation.building import Federation, Plan

from .site import Site
from .until import until

SN1, SN2, SN3 = "sn1.example.org", "sn2.example.org", "sn3.example.org"
HURT = tuple(f"n{n}.hurt.example.org" for n in range(1, 5))
"""Members at SN1, which is the supernode that scenarios hurt."""
WELL = ("n1.well.example.org", "n2.well.example.org")
HOSTILE = "hostile.example.org"
"""A member of SN1 whose certificate the tests use; it has no agent."""

INTERVAL = 3.0
PAUSE = 0.3
FRESH = 5.0


class Watch(threading.Thread):
    """Asks one supernode for its view again and again, and writes down what it said."""

    def __init__(self, settings: AdministratorSettings, supernode: NodeId) -> None:
        super().__init__(name=f"watch {supernode}", daemon=True)
        one = tuple(peer for peer in settings.supernodes if peer.node == supernode)
        self._settings = msgspec.structs.replace(settings, supernodes=one)
        self.ended = threading.Event()
        self.seen: list[tuple[float, Overview]] = []

    def run(self) -> None:
        (one,) = self._settings.supernodes
        with Bus(self._settings) as bus:
            while not self.ended.wait(PAUSE):
                try:
                    asked = time.time()
                    answer = bus.request(Query("status"), 4.0, one.node)
                    self.seen.append((asked, msgspec.convert(answer.data, Overview)))
                except NmBusError:
                    continue

    def now(self) -> Overview | None:
        """What it says now; None while it does not answer."""
        if not self.seen or time.time() - self.seen[-1][0] > FRESH:
            return None
        return self.seen[-1][1]

    def states(self, node: NodeId, since: float) -> list[MemberState]:
        """All that it said of a member, in that order."""
        return [
            member.state
            for asked, overview in list(self.seen)
            for member in overview.members
            if asked >= since and member.state.node == node
        ]

    def last_heard(self, node: NodeId) -> float | None:
        """When a member was last heard, by its supernode's clock."""
        overview, state = self.now(), self.state(node)
        if overview is None or state is None or state.heard is None:
            return None
        return overview.now - state.heard

    def state(self, node: NodeId) -> MemberState | None:
        overview = self.now()
        told = overview.members if overview else ()
        return next((m.state for m in told if m.state.node == node), None)


class Listener(threading.Thread):
    """An administrator's alert queues at all supernodes, read as they come."""

    def __init__(self, settings: AdministratorSettings) -> None:
        super().__init__(name="alerts", daemon=True)
        self._settings = settings
        self.ended = threading.Event()
        self.heard: dict[str, Alert] = {}

    def run(self) -> None:
        with (
            Bus(self._settings) as bus,
            QueueFollowing(
                self._settings.supernodes, bus.line, Subscribe(), timing(self._settings)
            ) as followed,
        ):
            for item in followed:
                if isinstance(item, Received):
                    event = codec.decode(item.body)
                    assert isinstance(event, Event), event
                    assert isinstance(event.data, Alert)
                    assert event.id == event.data.transition
                    self.heard.setdefault(event.data.transition, event.data)
                    item.ack()
                if self.ended.is_set():
                    break


@dataclass
class World:
    """The federation and everything that was said in it."""

    federation: Federation
    settings: AdministratorSettings
    watches: dict[NodeId, Watch] = field(default_factory=dict)
    since: float = 0.0
    before: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.listener = Listener(self.settings)

    def watch(self) -> None:
        self.listener.start()
        for node in (SN1, SN2, SN3):
            self.watches[node] = Watch(self.settings, node)
            self.watches[node].start()

    def end(self) -> None:
        threads: list[Watch | Listener] = [self.listener, *self.watches.values()]
        for thread in threads:
            thread.ended.set()
        for thread in threads:
            thread.join(20.0)

    def begin(self) -> None:
        """Wait until all is calm; what is said from now on is the next scenario's."""
        until(self.is_calm, "all members alive, no alert active, at each supernode", 300.0)
        self.since, self.before = time.time(), frozenset(self.listener.heard)
        until(lambda: all(self.heard_since(self.since, n) for n in (*HURT, *WELL)), "all heard")

    def heard_since(self, moment: float, node: NodeId) -> bool:
        """Whether a heartbeat of a member came after a moment, as another supernode was told."""
        last = self.watches[SN2].last_heard(node)
        return last is not None and last > moment

    def is_calm(self) -> bool:
        return all(self._calm(watch.now()) for watch in self.watches.values())

    def _calm(self, overview: Overview | None) -> bool:
        if overview is None or overview.alerts or len(overview.supernodes) != 3:
            return False
        alive = {m.state.node for m in overview.members if m.state.health is Health.ALIVE}
        heard = all(each.health is Health.ALIVE for each in overview.supernodes)
        return heard and alive >= {*HURT, *WELL}

    # --- what was said in this scenario

    def alerts(self, kind: str, subject: NodeId = "") -> list[Alert]:
        """The transitions of this scenario, each once, as they were heard."""
        return [
            alert
            for transition, alert in list(self.listener.heard.items())
            if transition not in self.before and alert.kind == kind
            if subject in ("", alert.subject)
        ]

    def life(self, kind: str, subject: NodeId) -> list[AlertState]:
        """What became of one trouble: its transitions in the order of their times."""
        told = sorted(self.alerts(kind, subject), key=lambda alert: alert.changed)
        return [alert.state for alert in told]

    def health(self, at: NodeId, node: NodeId) -> Health | None:
        state = self.watches[at].state(node)
        return state.health if state else None

    def healths(self, node: NodeId) -> set[Health]:
        """What any supernode said of a member in this scenario."""
        return {
            state.health
            for watch in self.watches.values()
            for state in watch.states(node, self.since)
        }

    def nobody_was_down(self) -> bool:
        said = {node: self.healths(node) for node in (*HURT, *WELL)}
        return not any(Health.DOWN in healths for healths in said.values())

    def measured(self, node: NodeId) -> int:
        """How many messages of metrics a member says it has made."""
        with Bus(self.settings) as bus:
            answer = bus.request(Ask("measured", node, "status"), 20.0, SN1)
        assert answer.ok, answer
        return int(answer.data["measured"])

    @property
    def vhost(self) -> str:
        return vhost(self.federation.plan.project)


def more(node: NodeId, folder: Path) -> dict[str, Any]:
    """A member's settings: a quick pulse, and a check that a file makes critical."""
    flag = folder / f"{node}.critical"
    command = ["sh", "-c", f"test ! -e {flag} || {{ echo flagged; exit 2; }}"]
    return {
        "heartbeat": {"interval": INTERVAL},
        "metrics": {"interval": 2.0},
        "checks": [{"name": "flag", "command": command, "interval": 1.0}],
    }


@pytest.fixture(scope="module")
def federation(program: Program) -> Iterator[Federation]:
    folder = Path(tempfile.mkdtemp(prefix="nm-bus-scenarios-"))
    homes = dict.fromkeys((*HURT, HOSTILE), SN1) | dict(zip(WELL, (SN2, SN3), strict=True))
    plan = Plan(
        folder,
        "scenario",
        (SN1, SN2, SN3),
        homes,
        limits=Limits(partitions=2),
        more={node: more(node, folder) for node in homes},
        program=program,
    )
    federation = Federation(plan)
    try:
        federation.build()
        federation.start_brokers()
        for node in plan.supernodes:
            federation.start_supernode(node)
        for node in (*HURT, *WELL):
            federation.start_member(node)
        yield federation
    finally:
        for running in federation.running.values():
            running.resume()
        federation.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def watched(federation: Federation) -> Iterator[World]:
    world = World(federation, load(federation.administrator, AdministratorSettings))
    world.watch()
    yield world
    world.end()


@pytest.fixture
def world(watched: World) -> World:
    """The federation, calm."""
    watched.begin()
    return watched


@pytest.fixture
def site(program: Program) -> Iterator[Site]:
    """Hosts as folders; what was started on them is ended."""
    site = Site(Path(tempfile.mkdtemp(prefix="nm-bus-site-")), program)
    try:
        yield site
    finally:
        site.end()
        shutil.rmtree(site.folder)
