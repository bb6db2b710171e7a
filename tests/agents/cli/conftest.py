"""A federation that answers from memory, and a way to run commands against it."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from nm_agents.cli.app import app
from nm_bus.client import Client
from nm_bus.client.carrier import Received
from nm_bus.core.view import unknown
from nm_bus.messages import (
    Alert,
    AlertState,
    Answer,
    Ask,
    BrokerState,
    Change,
    Check,
    CheckStatus,
    Endpoint,
    Health,
    LinkState,
    MemberState,
    MemberView,
    Message,
    NodeDetail,
    NodeId,
    Overview,
    PipeState,
    Properties,
    Query,
    Rollup,
    Series,
    Severity,
    Standing,
    Supernode,
    SupernodeView,
    Window,
)
from nm_bus.settings import AdministratorSettings, Broker, Peer, Tls

NOW = 1_790_000_000.0
EVIL = "up\x1b]0;owned\x07\x1b[2J\u202e\nfake line\x9b31m"


@dataclass
class FakeBus:
    """Answers from a table; what is followed is a script that ends as Ctrl-C does. Errors in the
    table are raised."""

    answers: Callable[[Message], Answer]
    script: Sequence[Received] = ()
    asked: list[Message] = field(default_factory=list)
    directed: list[str] = field(default_factory=list)
    refusing: dict[str, str] = field(default_factory=dict)
    """Supernodes that make no queue, with the reason."""
    waiting: set[str] = field(default_factory=lambda: set(SN))
    """Those from which the script is not delivered yet."""
    user: str = "admin.example.org"

    def request(
        self, message: Message, timeout: float, supernode: str, request: str = ""
    ) -> Answer:
        assert timeout > 0
        self.directed.append(supernode)
        self.asked.append(message)
        return self.answers(message)

    def line(self, peer: Peer) -> AbstractContextManager["Script"]:
        return nullcontext(Script(self, peer.node))

    def again(self, script: Sequence[Received]) -> None:
        """Another script, for another command."""
        self.script, self.waiting = script, set(SN)

    def signed(self, change: Change) -> tuple[Change, str]:
        return change, ""

    def close(self) -> None:
        """Nothing is open."""

    def __call__(self, settings: AdministratorSettings) -> "FakeBus":
        return self


@dataclass
class Script:
    """A connection that delivers what the script says of its supernode, then is interrupted."""

    bus: FakeBus
    supernode: NodeId
    came: Callable[[Received], None] | None = None

    def fileno(self) -> int:
        return NEVER[0].fileno()

    def ask(self, message: Message, request: str, timeout: float) -> Answer:
        self.bus.asked.append(message)
        if reason := self.bus.refusing.get(self.supernode):
            self.bus.waiting.discard(self.supernode)
            return Answer("", False, "not-allowed", reason)
        return Answer("", True, data={"queue": "q"})

    def wait(self, done: Callable[[], bool], timeout: float) -> None:
        if not self.bus.waiting:
            raise KeyboardInterrupt
        if self.supernode in self.bus.waiting and self.came is not None:
            self.bus.waiting.remove(self.supernode)
            for item in self.bus.script:
                if item.supernode == self.supernode:
                    self.came(item)

    @contextmanager
    def reading(
        self, queue: str, came: Callable[[Received], None], prefetch: int
    ) -> Iterator[None]:
        self.came = came
        yield


NEVER = socket.socketpair()
"""The first never becomes readable."""


def answer(data: object) -> Answer:
    return Answer(request="r", ok=True, data=msgspec.to_builtins(data))


def member(node: str, health: Health, **more: object) -> MemberView:
    told = {"node": node, "health": health, "heard": 2.0, "interval": 5.0} | more
    return MemberView(home="sn1.llnl.gov", told=1.0, state=msgspec.convert(told, MemberState))


def link(
    source: str, destination: str, kind: str, state: str = "running", **more: object
) -> LinkState:
    told = {"source": source, "destination": destination, "kind": kind, "state": state}
    return msgspec.convert({"delay": 0.004, **told, **more}, LinkState)


def standing(node: str, revision: int = 812, head: str = "3fa95c12" * 8, **more: Any) -> Standing:
    voters = tuple(f"{name}#genesis" for name in SN)
    told = Standing(node, "genesis", 1, revision, head, 640, voters[0], voters, ())
    return msgspec.structs.replace(told, **more)


def supernode(
    node: str,
    broker: BrokerState | None,
    health: Health = Health.ALIVE,
    ledger: Standing | None = None,
) -> SupernodeView:
    state = None
    if broker is not None:
        state = Supernode(node, "i", 1, NOW - 9000, NOW, "0.1.0", broker, ledger=ledger)
    pipe = PipeState("heartbeat.0", broker is not None, "" if broker else "no canary", 0.003)
    reason = "" if broker else "not heard for 14 s"
    return SupernodeView(node, health, reason, 1.0, state, (pipe,))


RUNNING = BrokerState("running", "", "3.10.8", 143_000_000, 2_000_000_000, 10**11, 17, 3)
BLOCKED = BrokerState("blocked", "memory alarm", "4.1.4", 1_990_000_000, 2_000_000_000, 10**11, 9)
SN: tuple[str, ...] = ("sn1.llnl.gov", "sn2.dkrz.de", "sn3.ceda.ac.uk")
LATEST = {"host.load.1m": 0.42, "disk.percent[/]": 61.0, "disk.percent[/data]": 88.4}

MEMBERS = (
    member(
        "esgf-node1.llnl.gov", Health.ALIVE, latest=LATEST, checks=[Check("disk", CheckStatus.OK)]
    ),
    member(
        "esgf-node2.llnl.gov",
        Health.ALIVE,
        latest={"host.load.1m": 7.9, "disk.percent[/]": 97.0},
        checks=[Check("disk", CheckStatus.CRITICAL, "3 % free"), Check("http", CheckStatus.OK)],
    ),
    member("data.dkrz.de", Health.DOWN, reason="silent for 31 s", heard=31.0),
    member("index.ceda.ac.uk", Health.UNKNOWN, reason="sn3.ceda.ac.uk is not heard", heard=14.0),
    member("evil.example.org", Health.LATE, reason=EVIL, heard=9.0),
    member("old.ipsl.fr", Health.LEFT, heard=4000.0),
    member("mend.nci.org.au", Health.MAINTENANCE),
)
ALERTS = (
    Alert(
        "a1", 1, AlertState.RAISED, Severity.WARNING, "link-trouble", SN[2],
        "the bulk link is silent", NOW - 12, NOW - 12, SN[0],
    ),
    Alert(
        "a2", 1, AlertState.RAISED, Severity.CRITICAL, "member-down", "data.dkrz.de",
        "data.dkrz.de is down: silent for 31 s", NOW - 200, NOW - 200, SN[1],
    ),
    Alert(
        "a3", 2, AlertState.RESOLVED, Severity.CRITICAL, "member-down", "old.ipsl.fr",
        "old.ipsl.fr is back", NOW - 900, NOW - 800, SN[1],
    ),
)  # fmt: skip
LINKS = (
    link(SN[0], SN[1], "control"),
    link(SN[0], SN[2], "bulk", "silent", reason="no canary for 12 s", delay=None, backlog=1204),
    link(SN[1], SN[0], "control"),
)
SUPERNODES = (
    supernode(SN[0], RUNNING, ledger=standing(SN[0])),
    supernode(SN[1], BLOCKED, ledger=standing(SN[1], 640, "5d" * 32, state="listening")),
    supernode(SN[2], None, Health.UNKNOWN),
)


def rollup(value: float, rate: float | None = None) -> Rollup:
    return Rollup(5, 5 * value, value / 2, value * 2, value, rate)


def windows(values: Sequence[float], length: float, *, rates: bool = False) -> tuple[Window, ...]:
    first = NOW - length * len(values)
    return tuple(
        Window(first + n * length, rollup(v, v / 10 if rates else None))
        for n, v in enumerate(values)
    )


HOUR = [1.0, 2.0, 4.0, 8.0, 4.0, 2.0, 1.0, 1.5, 3.0, 6.0, 7.0, 5.0]
DETAIL = NodeDetail(
    member(
        "esgf-node1.llnl.gov",
        Health.ALIVE,
        agent="0.1.0",
        uptime=864_000.0,
        checks=[
            Check("disk", CheckStatus.OK, "61 % used"),
            Check("http", CheckStatus.WARNING, EVIL),
        ],
        properties=Properties(
            "i", "LLNL", "data node", 37.7, -121.7, "Livermore", "US",
            (Endpoint("thredds", "https://esgf-node1.llnl.gov/thredds", "catalogue"),),
            {"esgf-docker": "2.1"},
        ),
    ),
    {
        "host.load.1m": Series("1", "gauge", windows(HOUR, 60), windows(HOUR, 300)),
        "net.received.bytes": Series(
            "B",
            "counter",
            windows(HOUR, 60, rates=True),
            windows([9e9, 8e9], 300, rates=True),
        ),
        "http.time": Series(
            "s", "gauge", windows(HOUR, 60), windows(HOUR, 300), None, {"p50": 0.1, "p99": 1.9}
        ),
    },
)  # fmt: skip


def overview(message: Query) -> Overview:
    """Two pages: the second holds only members."""
    first = message.page == 0
    members = MEMBERS[:4] if first else MEMBERS[4:]
    rest = (SUPERNODES, LINKS, ALERTS) if first else ((), (), ())
    return Overview(SN[0], NOW, message.page, 2, members, *rest)


def known(message: Message) -> object:
    """What a federation with some of everything answers; None when it does not know."""
    match message:
        case Query(what="status"):
            return overview(message)
        case Query(what="node", node="esgf-node1.llnl.gov"):
            return DETAIL
        case Query(what="time"):
            return {"now": time.time()}
        case Query(what="alerts"):
            return {"alerts": ALERTS}
        case Ask(what="check"):
            return {"name": message.check, "status": "critical", "output": EVIL}
    return (
        {"agent": "0.1.0", "values": {"host.load.1m": 0.25}} if isinstance(message, Ask) else None
    )


def answers(message: Message) -> Answer:
    """The answer to a question, as a supernode gives it."""
    found = known(message)
    if found is None:
        return Answer("r", False, "unknown-node", unknown("n9.example.org"))
    return answer(found)


def client_of(bus: FakeBus, timeout: float = 1.0) -> Client:
    """A client of the three supernodes that are answered for."""
    none = Path("none.pem")
    peers = tuple(Peer(node, Broker(node)) for node in SN)
    own = AdministratorSettings("demo", peers, Tls(none, none, none), network="local")
    return Client(own, timeout=timeout, connect=bus)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus(answers)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """An administrator's settings file."""
    file = tmp_path / "admin.toml"
    file.write_text(
        'project = "demo"\nfolder = "state"\n'
        + "".join(f'[[supernodes]]\nnode = "{n}"\nbroker = {{ host = "{n}" }}\n' for n in SN)
        + '[tls]\nca = "ca.pem"\ncertificate = "me.pem"\nkey = "me.key"\n'
    )
    return file


Run = Callable[..., Any]


@pytest.fixture
def run(bus: FakeBus, settings: Path) -> Run:
    """Run a command line against the fake."""

    def run_it(*arguments: str) -> Any:
        environment = {"NM_BUS_CONFIG": str(settings), "TERM": "dumb"}
        return CliRunner(env=environment).invoke(app, arguments, obj=bus)

    return run_it
