"""What simulated members say: heartbeats of about 400 bytes, ten metrics in about 700.

Pure: the moment comes in as an argument. Each message carries the user who is made out to send it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nm_bus.codec import encode
from nm_bus.messages import Check, CheckStatus, Heartbeat, Message, Metrics, NodeId, Seconds
from nm_bus.messages import domain_key as key_of
from nm_bus.topology import HEARTBEAT, METRICS
from nm_bus.transport.base import Outgoing

INTERVAL: Seconds = 5.0
AGENT = "nm-bus/0.1.0"
SITES = 40

CHECKS = (
    Check("http", CheckStatus.OK, "HTTP OK: 200, 0.041 s", 1_800_000_000.0),
    Check("disk", CheckStatus.OK, "DISK OK: 61 % of / in use", 1_800_000_000.0),
)

GIGABYTE = 10**9


@dataclass(slots=True)
class SimulatedMember:
    """One member, which counts what it says."""

    node: NodeId
    incarnation: str
    beats: int = 0
    samples: int = 0

    def heartbeat(self, now: Seconds) -> Outgoing:
        """Its next heartbeat."""
        self.beats += 1
        uptime = self.beats * INTERVAL
        beat = Heartbeat(self.incarnation, self.beats, INTERVAL, uptime, AGENT, CHECKS)
        return self._outgoing(HEARTBEAT, beat, now)

    def metrics(self, now: Seconds) -> Outgoing:
        """Its next ten metrics."""
        self.samples += 1
        values = _ten_values(self.samples)
        return self._outgoing(METRICS, Metrics(self.incarnation, self.samples, 0.05, values), now)

    def _outgoing(self, exchange: str, message: Message, now: Seconds) -> Outgoing:
        id = f"{self.incarnation}.{self.beats + self.samples}"
        body = encode(message, source=self.node, id=id, time=now)
        return Outgoing(exchange, key_of(self.node), body, user_id=self.node)


def members(count: int) -> list[SimulatedMember]:
    """So many members, spread over some sites."""
    return [
        SimulatedMember(f"node{n:04}.site{n % SITES:02}.bench.example", f"{n:032x}")
        for n in range(count)
    ]


def heartbeats(crowd: list[SimulatedMember], count: int, now: Seconds) -> Iterator[Outgoing]:
    """So many heartbeats, of each member in turn."""
    return (crowd[n % len(crowd)].heartbeat(now) for n in range(count))


def metrics(crowd: list[SimulatedMember], count: int, now: Seconds) -> Iterator[Outgoing]:
    """So many messages of ten metrics, of each member in turn."""
    return (crowd[n % len(crowd)].metrics(now) for n in range(count))


def _ten_values(turn: int) -> dict[str, float]:
    """What a host's agent measures: one value with quantiles, two counters, seven plain gauges."""
    wave = turn % 17
    return {
        "host.load.1m": 0.5 + wave / 8,
        "host.memory.used": 11.0 * GIGABYTE + wave * 4096.0,
        "host.memory.available": 21.0 * GIGABYTE - wave * 4096.0,
        "host.memory.percent": 34.0 + wave / 10,
        "host.swap.percent": 1.5,
        "host.uptime": 1_000_000.0 + turn * 30.0,
        "disk.used[/]": 61.0 * GIGABYTE + turn,
        "disk.percent[/]": 61.0,
        "net.sent.bytes": 4.0 * GIGABYTE + turn * 15_000.0,
        "net.received.bytes": 9.0 * GIGABYTE + turn * 70_000.0,
    }
