"""A whole federation on this machine: brokers, supernodes and members as processes of their own.

Everything lives in one folder and on loopback addresses that were free, so that two federations
side by side do not meet. Used by the demonstration, the measurements and tests of the whole.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from nm_agents.supernode.ledger.creation import begin
from nm_broker.pki import Authority
from nm_broker.private import PrivateBroker, RunningBroker
from nm_broker.program import Program
from nm_broker.project import Principals, bring_up
from nm_bus.grants import link_user
from nm_bus.messages import NodeId, Seconds
from nm_bus.project import FirstSupernode, Project
from nm_bus.settings import (
    AdministratorSettings,
    Broker,
    Limits,
    Management,
    MemberSettings,
    Peer,
    SupernodeSettings,
    in_url,
)
from nm_lab.federation.relay import Relay, Relays

# --- A process group that dies with this process, however hard that dies.
#
# Its leader is a shell that waits for a word from us. When we die, the pipe ends without one, and
# the shell kills the group, itself included.

WAIT = "read -r _ || kill -s KILL 0"


class ProcessGroup:
    """Start programs with `process_group=lifeline.group`, which also keeps Ctrl-C from them."""

    def __init__(self) -> None:
        self._shell: subprocess.Popen[bytes] | None = None

    @property
    def group(self) -> int:
        """The group's id; the group begins when it is first asked for."""
        if self._shell is None:
            self._shell = subprocess.Popen(
                ["sh", "-c", WAIT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        return self._shell.pid

    def let_go(self) -> None:
        """Whatever still runs in the group lives on without us. Harmless when it never began."""
        if self._shell is not None:
            self._shell.communicate(b"go on\n")
            self._shell = None


PATIENCE: Seconds = 20.0
"""How long a program may take to end in good order before it is killed."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build. `members` maps each member to its home; `more` adds to a member's settings."""

    folder: Path
    project: str
    supernodes: tuple[NodeId, ...]
    members: dict[NodeId, NodeId]
    administrator: str = "admin.example"
    network: str = "local"
    delay: Seconds = 0.0
    """How late each link's bytes are, one way; only with relays."""
    limits: Limits = field(default_factory=Limits)
    more: dict[NodeId, dict[str, Any]] = field(default_factory=dict)
    program: Program | None = None
    ledger: bool = True
    """Whether the supernodes have a ledger."""


@dataclass
class Federation:
    """A federation that is built, started, hurt and stopped. `told` hears what is being done.

    With `relays`, links go by way of these, each by one of its own.
    """

    plan: Plan
    told: Told = lambda _text: None
    relays: Relays | None = None
    ways: dict[tuple[NodeId, NodeId], Relay] = field(default_factory=dict)
    brokers: dict[NodeId, PrivateBroker] = field(default_factory=dict)
    running: dict[NodeId, RunningBroker] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    settings: dict[NodeId, SupernodeSettings] = field(default_factory=dict)
    lifeline: ProcessGroup = field(default_factory=ProcessGroup)

    @property
    def administrator(self) -> Path:
        """The administrator's settings file."""
        return self.plan.folder / "admin.toml"

    @property
    def project(self) -> Path:
        """The project file, from which the ledgers are made."""
        return self.plan.folder / "project.toml"

    def build(self) -> None:
        """Make certificates, folders and settings files; nothing runs yet."""
        self.plan.folder.mkdir(parents=True, exist_ok=True)
        authority = Authority.create(self._pki)
        for node in self.plan.supernodes:
            tls = authority.issue(node, self._pki)
            folder = self.plan.folder / "brokers" / node
            self.brokers[node] = PrivateBroker.placed(
                folder, node, self.plan.project, tls, self.plan.program
            )
        for node in self.plan.supernodes:
            self._build_supernode(node, authority)
        if self.plan.ledger:
            # make each supernode's ledger from one project file, as far as it is not there.
            firsts = (FirstSupernode(n, n, self._peer(n).broker.port) for n in self.plan.supernodes)
            project = Project(self.plan.project, tuple(firsts), (self.plan.administrator,))
            self._write(self.project, project)
            for settings in self.settings.values():
                begin(settings, project, self.project)
        for node in self.plan.members:
            self._build_member(node, authority)
        self._build_administrator(authority)

    def start_brokers(self) -> None:
        """Start all brokers side by side, and bring the project up on each."""
        with ThreadPoolExecutor() as several:
            list(several.map(self.start_broker, self.plan.supernodes))

    def start_broker(self, node: NodeId) -> None:
        """Start one broker and bring the project up on it, as often as wanted."""
        self.running[node] = running = self.brokers[node].start()
        principals = Principals(tuple(self.plan.members), (self.plan.administrator,))
        bring_up(running.api, self.settings[node], principals)
        self.told(f"broker of {node} serves at {self.brokers[node].address}")

    def start_supernode(self, node: NodeId) -> None:
        """Start one supernode's program."""
        self._start(f"supernode {node}", "supernode", self._file(node))
        self.told(f"supernode {node} started")

    def start_member(self, node: NodeId) -> None:
        """Start one member's agent."""
        self._start(f"member {node}", "member", self._file(node))
        self.told(f"member {node} started")

    def member(self, node: NodeId) -> "subprocess.Popen[bytes]":
        """A member's process."""
        return self.processes[f"member {node}"]

    def supernode(self, node: NodeId) -> "subprocess.Popen[bytes]":
        """A supernode's process."""
        return self.processes[f"supernode {node}"]

    def links_of(self, node: NodeId) -> list[Relay]:
        """The relays of all links from a supernode and to it."""
        return [relay for ends, relay in self.ways.items() if node in ends]

    def stop(self) -> None:
        """End everything that was started: members, supernodes, brokers, in this order."""
        for role in ("member", "supernode"):
            end(p for name, p in self.processes.items() if name.startswith(role))
        self.lifeline.let_go()
        self.told("agents have ended")
        with ThreadPoolExecutor() as several:
            list(several.map(RunningBroker.stop, self.running.values()))
        self.told("brokers have ended")

    # --- files

    @property
    def _pki(self) -> Path:
        return self.plan.folder / "pki"

    def _file(self, node: NodeId) -> Path:
        return self.plan.folder / f"{node}.toml"

    def _peer(self, node: NodeId) -> Peer:
        broker = self.brokers[node]
        return Peer(node, Broker(node, broker.amqps_port, broker.address))

    def _linked(self, node: NodeId, to: NodeId) -> Peer:
        """A supernode as its peer's links reach it."""
        peer = self._peer(to)
        if self.relays is None:
            return peer
        relay = self.relays.lay((peer.broker.address, peer.broker.port), self.plan.delay)
        self.ways[node, to] = relay
        host, port = relay.address
        return Peer(to, Broker(to, port, host))

    def _build_supernode(self, node: NodeId, authority: Authority) -> None:
        broker = self.brokers[node]
        self.settings[node] = settings = SupernodeSettings(
            project=self.plan.project,
            node=node,
            folder=self.plan.folder / "state" / node,
            broker=self._peer(node).broker,
            tls=broker.tls,
            management=Management(
                url=f"http://{in_url(broker.address)}:{broker.management_port}",
                password_file=broker.password_file,
            ),
            link_tls=authority.issue(link_user(node), self._pki),
            peers=tuple(self._linked(node, to) for to in self.plan.supernodes if to != node),
            network=self.plan.network,
            limits=self.plan.limits,
        )
        self._write(self._file(node), settings)

    def _build_member(self, node: NodeId, authority: Authority) -> None:
        settings = MemberSettings(
            project=self.plan.project,
            node=node,
            folder=self.plan.folder / "state" / node,
            supernodes=(self._peer(self.plan.members[node]),),
            tls=authority.issue(node, self._pki),
            network=self.plan.network,
        )
        self._write(self._file(node), settings, self.plan.more.get(node, {}))

    def _build_administrator(self, authority: Authority) -> None:
        settings = AdministratorSettings(
            project=self.plan.project,
            supernodes=tuple(self._peer(node) for node in self.plan.supernodes),
            tls=authority.issue(self.plan.administrator, self._pki),
            folder=self.plan.folder / "state" / self.plan.administrator,
            network=self.plan.network,
        )
        self._write(self.administrator, settings)

    def _write(self, file: Path, settings: Any, more: dict[str, Any] | None = None) -> None:
        plain = msgspec.to_builtins(settings, enc_hook=str)
        file.write_text(tomli_w.dumps(_without_nothing(plain | (more or {}))))

    def _start(self, name: str, word: str, config: Path) -> None:
        log = self.plan.folder / "log" / f"{name.replace(' ', '.')}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "nm_agents.main", word, "run", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=self.lifeline.group,
            )


def end(processes: Iterable["subprocess.Popen[bytes]"]) -> None:
    """End processes in good order, or kill those that do not end in time."""
    alive = [process for process in processes if process.poll() is None]
    for process in alive:
        process.terminate()
    for process in alive:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _without_nothing(value: Any) -> Any:
    """TOML has no null: what is not set is not written."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_nothing(item) for item in value]
    return value
