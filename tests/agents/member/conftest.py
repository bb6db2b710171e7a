"""A member agent on a broker in memory, with a supernode that writes down what it hears."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from nm_agents.member.documents import kept_on
from nm_agents.member.hooks import Environment
from nm_agents.member.member import Member
from nm_agents.member.plugins import Run, Timers, Told
from nm_bus import codec
from nm_bus.core.agent import Measurement
from nm_bus.core.nagios import PluginVerdict
from nm_bus.grants import grant
from nm_bus.identity.role import MEMBER, Role
from nm_bus.messages import (
    Answer,
    Ask,
    Event,
    Hello,
    Message,
    Seconds,
    Sync,
    Update,
)
from nm_bus.settings import MemberSettings, check
from nm_bus.storage.spool import Spool
from nm_bus.testing.clock import VirtualClock
from nm_bus.topology import (
    UPDATES,
    Sizes,
    heartbeat_queue,
    inbox_queue,
    inbox_topology,
    metrics_queue,
    project_topology,
    request_queue,
    update_key,
)
from nm_bus.transport.base import Delivery, Outgoing, Timer
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker
from nm_lab.samples.history import History

NODE = "n1.llnl.gov"
SUPERNODE = "sn1.example.org"
SIZES = Sizes()

M = TypeVar("M")


class FakeRun:
    """A plugin run that ends when its test says so."""

    gone = False

    def __init__(self, command: tuple[str, ...], told: Told) -> None:
        self.command, self._told = command, told

    def end(self, verdict: PluginVerdict) -> None:
        self.gone = True
        self._told(verdict)

    def kill(self) -> None:
        self.gone = True


@dataclass
class Plugins:
    """Runs plugins that answer `verdicts` after `takes` seconds; without a verdict they hang."""

    takes: Seconds = 0.1
    verdicts: dict[str, PluginVerdict] = field(default_factory=dict)
    runs: list[FakeRun] = field(default_factory=list)
    hooks: list[dict[str, str]] = field(default_factory=list)

    def start(self, command: tuple[str, ...], timeout: Seconds, timers: Timers, told: Told) -> Run:
        run = FakeRun(command, told)
        self.runs.append(run)
        if command[0] in self.verdicts:
            timers.later(self.takes, lambda: run.end(self.verdicts[command[0]]))
        return run

    def start_hook(
        self,
        command: tuple[str, ...],
        environment: Environment,
        timeout: Seconds,
        timers: Timers,
        told: Told,
    ) -> Run:
        self.hooks.append(dict(environment))
        return self.start(command, timeout, timers, told)


@dataclass
class Federation:
    """One supernode's broker, and what came to it: (when, who, message).

    `height` is how much of the `history` the supernode has; all, when not given. `refusal` is its
    answer to every sync instead.
    """

    clock: VirtualClock
    broker: MemoryBroker
    supernode: MemoryTransport
    heard: list[tuple[Seconds, Event[Message]]] = field(default_factory=list)
    welcoming: bool = True
    hellos: int = 0
    history: History = field(default_factory=History)
    height: int | None = None
    refusal: Answer | None = None
    syncs: int = 0
    slow: Seconds = 0.0
    """How long it takes to answer a sync, which is answered as it was when it came."""

    def listen(self) -> None:
        self.supernode.consume(heartbeat_queue(0), self._came)
        self.supernode.consume(metrics_queue(0), self._came)
        self.supernode.consume(request_queue(MEMBER), self._asked)
        self.supernode.start()

    def messages(self, kind: type[M]) -> list[M]:
        return [event.data for _, event in self.heard if isinstance(event.data, kind)]

    def times(self, kind: type[Message]) -> list[Seconds]:
        return [when for when, event in self.heard if isinstance(event.data, kind)]

    def ask(self, what: str, check: str = "", *, by: MemoryTransport | None = None) -> None:
        ask = Ask(f"ask-{what}", NODE, what, check)
        body = codec.encode(ask, source=SUPERNODE, id="a1", time=self.clock.now())
        (by or self.supernode).publish(Outgoing("", inbox_queue(NODE), body))

    def tell(self, update: Update, *, by: MemoryTransport | None = None) -> None:
        """Publish an update of the ledger."""
        body = codec.encode(update, source=SUPERNODE, id="u1", time=self.clock.now())
        (by or self.supernode).publish(Outgoing(UPDATES, update_key(update.change), body))

    def _came(self, delivery: Delivery) -> None:
        event = codec.decode(delivery.body)
        assert isinstance(event, Event), event
        assert delivery.user_id == event.source == NODE
        self.heard.append((self.clock.now(), event))
        self.supernode.ack(delivery)

    def _asked(self, delivery: Delivery) -> None:
        self._came(delivery)
        request = self.heard[-1][1].data
        if isinstance(request, Hello):
            self.hellos += 1
            if self.welcoming:
                self._welcome(request, delivery)
        elif isinstance(request, Sync):
            self.syncs += 1
            synced = msgspec.to_builtins(self.history.answer(request, self.height))
            answer = self.refusal or Answer("s1", ok=True, data=synced)
            self.clock.later(self.slow, lambda: self._answer(delivery, answer))

    def _welcome(self, hello: Hello, delivery: Delivery) -> None:
        inbox = inbox_topology(NODE, SIZES, feeds=hello.feeds, anew=True)
        self.supernode.declare(inbox, renew=False)
        self._answer(delivery, Answer("h1", ok=True, data={"queue": inbox_queue(NODE)}))

    def _answer(self, delivery: Delivery, answer: Answer) -> None:
        if delivery.reply_to is None:
            return
        reply_to, correlation = delivery.reply_to, delivery.correlation_id
        body = codec.encode(answer, source=SUPERNODE, id="w1", time=self.clock.now())
        self.supernode.publish(Outgoing("", reply_to, body, correlation_id=correlation))


@pytest.fixture
def federation() -> Federation:
    clock = VirtualClock()
    broker = MemoryBroker(clock, SUPERNODE)
    broker.admit(grant(Role.SUPERNODE, SUPERNODE))
    broker.admit(grant(Role.MEMBER, NODE))
    broker.declare(project_topology(SIZES))
    supernode = MemoryTransport(broker, clock, user=SUPERNODE, random=lambda: 0.5)
    federation = Federation(clock, broker, supernode)
    federation.listen()
    return federation


class Process(MemoryTransport):
    """A member's transport; when its process is dead, no timer of it rings any more."""

    dead = False

    @property
    def stopped(self) -> bool:
        return self.status.reason == "stopped"

    def later(self, delay: Seconds, call: Callable[[], None]) -> Timer:
        return super().later(delay, lambda: None if self.dead else call())


@dataclass
class Site:
    """What one node is made of, and its agent's lives."""

    federation: Federation
    settings: MemberSettings
    plugins: Plugins
    lives: list[tuple[Member, Process, Callable[[], None]]] = field(default_factory=list)
    measured: float = 0.0
    unmeasured: dict[str, str] = field(default_factory=dict)
    chance: float = 0.5

    @property
    def spool_file(self) -> Path:
        return self.settings.folder / "spool.sqlite"

    def measure(self) -> Measurement:
        self.measured += 1
        return Measurement({"host.load.1m": self.measured}, dict(self.unmeasured))

    def start(self, spool: Spool | None = None) -> Member:
        federation, limits = self.federation, self.settings.spool
        transport = Process(
            federation.broker, federation.clock, user=NODE, random=lambda: self.chance
        )
        member = Member(
            self.settings,
            transport,
            spool or Spool.open(self.spool_file, limits.max_bytes, limits.max_age),
            random=lambda: self.chance,
            measure=self.measure,
            start=self.plugins.start,
            kept=kept_on(self.settings.documents, Path("member.toml")),
            start_hook=self.plugins.start_hook,
        )
        member.begin()
        self.lives.append((member, transport, member.watch_folder()))
        transport.start()
        return member

    def kill(self) -> None:
        """The process is gone without a word."""
        _, transport, end = self.lives[-1]
        transport.dead = True
        transport.stop()
        end()

    def end(self) -> None:
        for member, transport, end in self.lives:
            transport.stop()
            end()
            member.close()


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """A settings file's content; tests add to it before they ask for `site`."""
    tls = {"ca": "ca.crt", "certificate": "n1.crt", "key": "n1.key"}
    folder = tmp_path / "state"
    folder.mkdir()
    return {
        "project": "test",
        "node": NODE,
        "folder": str(folder),
        "supernodes": [{"node": SUPERNODE, "broker": {"host": "broker.example.org"}}],
        "tls": tls,
        "network": "local",
    }


@pytest.fixture
def make_site(
    federation: Federation, settings: dict[str, Any], tmp_path: Path
) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(**more: Any) -> Site:
        checked = check(settings | more, MemberSettings, tmp_path / "member.toml")
        sites.append(Site(federation, checked, Plugins()))
        return sites[-1]

    yield make
    for site in sites:
        site.end()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
