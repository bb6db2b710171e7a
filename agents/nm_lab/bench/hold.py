"""`nm-bus bench hold`: one supernode and its broker hold thousands of simulated members.

The supernode, its ingest process and one member agent are the real programs; the other members are
simulated. Every heartbeat's delay is known at the supernode, since all read the same clock here.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import msgspec
import psutil

from nm_bus.client import Client
from nm_bus.errors import NmBusError, TimedOutError
from nm_bus.messages import Alert, AlertState, Health, MemberState, Seconds
from nm_bus.settings import Limits, timing
from nm_lab.bench.aims import Measured
from nm_lab.bench.ground import SUPERNODE, USER, admit_impersonator, impersonator
from nm_lab.bench.simulate import MemberCrowd, PublishedCount
from nm_lab.federation.building import Federation, Plan
from nm_lab.federation.eyes import AlertWatch

# --- What processes use while the bench watches: resident memory at its most, share of a core.


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """`memory` is the most bytes that were resident, `share` processor time per elapsed time."""

    memory: int
    share: float


@dataclass(slots=True)
class Footprint:
    """One process, from the first look to the last."""

    process: psutil.Process
    _began: Seconds = field(init=False)
    _before: Seconds = field(init=False)
    _memory: int = 0

    def __post_init__(self) -> None:
        self._began, self._before = time.monotonic(), self._spent()

    def look(self) -> None:
        """Look how much memory it uses now."""
        self._memory = max(self._memory, self.process.memory_info().rss)

    def used(self) -> ProcessUsage:
        """What it used since the beginning."""
        self.look()
        elapsed = time.monotonic() - self._began
        return ProcessUsage(self._memory, (self._spent() - self._before) / elapsed)

    def _spent(self) -> Seconds:
        times = self.process.cpu_times()
        return times.user + times.system


PROJECT = "hold"
AGENT = "agent.bench.example"
ANSWER: Seconds = 20.0
LOOK: Seconds = 5.0
MEGABYTE = 1_000_000

SETTLING: Seconds = 120.0
"""How long all members may take to be heard first."""

MEMORY_AIM, SHARE_AIM = 40.0, 0.5
"""A member agent: megabytes resident, percent of a core."""

Told = Callable[[str], None]


@dataclass(slots=True)
class HoldSamples:
    """What an administrator saw, look by look."""

    delays: dict[tuple[str, int], Seconds] = field(default_factory=dict)
    """How long each heartbeat took from its sender to the core, by member and sequence."""
    down: set[str] = field(default_factory=set)
    other: int = 0
    alive: int = 0

    def take(self, members: list[MemberState]) -> None:
        """Take one look."""
        self.delays |= {(m.node, m.sequence): -m.skew for m in members if m.sequence}
        self.down |= {m.node for m in members if m.health is Health.DOWN}
        self.alive = sum(m.health is Health.ALIVE for m in members)
        self.other = max(self.other, len(members) - self.alive)


@dataclass(frozen=True, slots=True)
class HoldFigures:
    """What came of it."""

    members: int
    seconds: Seconds
    seen: HoldSamples
    alerts: list[Alert]
    used: dict[str, ProcessUsage]
    published: PublishedCount
    limit: Seconds

    def delay(self, percent: int) -> Seconds:
        """A percentile of the delays."""
        found: float = quantiles(self.seen.delays.values(), n=100)[percent - 1]
        return found

    def measured(self) -> list[Measured]:
        """Each figure beside its aim."""
        down = self.seen.down | {a.subject for a in self.alerts if a.kind == "member-down"}
        agent = self.used["member agent"]
        return [
            Measured("members alive at the end", self.seen.alive, self.members),
            Measured("members called down", len(down), 0, most=True),
            Measured("alerts raised", len(self.alerts), 0, most=True),
            Measured("delay of a heartbeat, p99", self.delay(99), self.limit, "s", most=True),
            Measured("member agent, memory", agent.memory / MEGABYTE, MEMORY_AIM, "MB", most=True),
            Measured("member agent, processor", agent.share * 100, SHARE_AIM, "%", most=True),
        ]


def hold(folder: Path, members: int, seconds: Seconds, told: Told) -> HoldFigures:
    """Build it, wait until all are heard, watch for so long, and end everything.

    Raises TimedOutError when the members are not all heard in time.
    """
    limits = Limits(members=members + 1)
    plan = Plan(folder, PROJECT, (SUPERNODE,), {AGENT: SUPERNODE}, network="lan", limits=limits)
    federation = Federation(plan, told)
    alerts = AlertWatch(federation.administrator, lambda _alert: None, federation.lifeline)
    federation.build()
    try:
        federation.start_brokers()
        admit_impersonator(federation.running[SUPERNODE].api, PROJECT)
        federation.start_supernode(SUPERNODE)
        federation.start_member(AGENT)
        with _crowd(folder, members) as crowd:
            _settle(federation.administrator, members + 1, told)
            alerts.start()
            used, seen = _watch(federation, members + 1, seconds, told)
            published = _end(crowd)
        alerts.stop()
    finally:
        alerts.stop()
        federation.stop()
    raised = [alert for alert in alerts.shown if alert.state is AlertState.RAISED]
    limit = timing(federation.settings[SUPERNODE]).canary_limit
    return HoldFigures(members + 1, seconds, seen, raised, used, published, limit)


def _settle(config: Path, members: int, told: Told) -> None:
    deadline = time.monotonic() + SETTLING
    alive = 0
    while alive < members:
        if time.monotonic() > deadline:
            raise TimedOutError(f"{alive} of {members} members are heard after {SETTLING:g} s")
        try:
            alive = sum(m.health is Health.ALIVE for m in _look(config))
        except NmBusError as error:
            told(str(error))
        told(f"{alive} of {members} members are heard")
        time.sleep(1.0)


def _watch(
    federation: Federation, members: int, seconds: Seconds, told: Told
) -> tuple[dict[str, ProcessUsage], HoldSamples]:
    supernode = psutil.Process(federation.supernode(SUPERNODE).pid)
    (ingest,) = supernode.children()
    footprints = {
        "broker": Footprint(psutil.Process(federation.running[SUPERNODE].pid)),
        "supernode": Footprint(supernode),
        "ingest": Footprint(ingest),
        "member agent": Footprint(psutil.Process(federation.member(AGENT).pid)),
    }
    seen, end = HoldSamples(), time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(LOOK, left))
        seen.take(_look(federation.administrator))
        for footprint in footprints.values():
            footprint.look()
        told(f"{seen.alive} of {members} members alive, {left:.0f} s to go")
    return {name: footprint.used() for name, footprint in footprints.items()}, seen


def _look(config: Path) -> list[MemberState]:
    with Client(config, timeout=ANSWER) as client:
        return [view.state for view in client.status().members]


@contextmanager
def _crowd(folder: Path, members: int) -> Iterator["subprocess.Popen[bytes]"]:
    tls = impersonator(folder)
    file = str(folder / f"{SUPERNODE}.toml")
    crowd = MemberCrowd(file, USER, str(tls.ca), str(tls.certificate), str(tls.key), members)
    process = subprocess.Popen(
        [sys.executable, "-m", "nm_lab.bench.simulate", msgspec.json.encode(crowd).decode()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _end(crowd: "subprocess.Popen[bytes]") -> PublishedCount:
    crowd.terminate()
    try:
        out, _ = crowd.communicate(timeout=ANSWER)
        return msgspec.json.decode(out, type=PublishedCount)
    except (subprocess.TimeoutExpired, msgspec.DecodeError):
        raise TimedOutError("the simulated members ended too early, or not at all") from None
