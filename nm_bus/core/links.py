"""Whether a link moves. A shovel that says "running" may be wedged: only what crosses is proof.

Pure: observations and the time come in, a verdict and effects go out. Reading the broker and
restarting a shovel is the caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from nm_bus.messages import Seconds
from nm_bus.settings import Timing


class ShovelState(StrEnum):
    """What the broker says of a shovel. It is MISSING when the broker does not list it.

    Only RabbitMQ 4 says BLOCKED, of a destination in alarm; earlier ones call that running.
    """

    RUNNING = "running"
    BLOCKED = "blocked"
    STARTING = "starting"
    TERMINATED = "terminated"
    MISSING = "missing"


class LinkHealth(StrEnum):
    """What is held to be true of a link; the values are what `LinkState.state` says.

    WEDGED: messages wait and none crosses. SILENT: all was handed over, but nothing is heard of
    the canaries, so the trouble is beyond this link, and restarting it would not help.
    """

    RUNNING = "running"
    BLOCKED = "blocked"
    STARTING = "starting"
    TERMINATED = "terminated"
    MISSING = "missing"
    WEDGED = "wedged"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """One look at one link from its source.

    `acked` counts what the destination has taken, ever; it may start again with the broker.
    `heard` is when the destination last heard a canary of this link, by the source's clock.
    """

    state: ShovelState
    reason: str = ""
    ready: int = 0
    unacked: int = 0
    acked: int = 0
    heard: Seconds | None = None


@dataclass(frozen=True, slots=True)
class LinkVerdict:
    """A link's health with its reason: one sentence, or nothing when it runs."""

    health: LinkHealth
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RestartLink:
    """Effect: delete the shovel and make it again; the broker's own restart does not help."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """How long what may last, in seconds.

    `stalled` holds for a link that does not move, whatever it says of itself; `unheard` for the
    canaries. Pauses between restarts grow from `first` to `most`.
    """

    unheard: Seconds
    stalled: Seconds
    first: Seconds = 10.0
    most: Seconds = 300.0


def limits_for(timing: Timing) -> LinkLimits:
    """The limits that fit a network.

    A shovel notices a dead connection by itself after two to three heartbeats and then connects
    again: whoever intervenes earlier only disturbs it.
    """
    return LinkLimits(
        unheard=timing.link_limit,
        stalled=3 * timing.amqp_heartbeat + timing.connect,
    )


def restart_pause(restarts: int, limits: LinkLimits, jitter: float) -> Seconds:
    """The pause after so many restarts in a row: doubling, bounded, spread by `jitter` (0 to 1)."""
    doubled = limits.first * 2.0 ** min(restarts, 32)
    return min(doubled, limits.most) * (0.75 + jitter / 2)


def judge(seen: LinkSeen, still: Seconds, unheard: Seconds, limits: LinkLimits) -> LinkVerdict:
    """The verdict on a link that has not moved for `still` and was not heard for `unheard`."""
    waiting = seen.ready + seen.unacked
    if seen.state is ShovelState.MISSING:
        return LinkVerdict(LinkHealth.MISSING, "its shovel is not there")
    if seen.state is ShovelState.BLOCKED:
        return LinkVerdict(LinkHealth.BLOCKED, "the destination's broker takes nothing: an alarm")
    if seen.state is not ShovelState.RUNNING:
        why = f": {seen.reason}" if seen.reason else ""
        return LinkVerdict(LinkHealth(seen.state), f"not connected for {still:.0f} s{why}")
    if waiting and still >= limits.stalled:
        what = f"{waiting} messages wait and none crossed for {still:.0f} s"
        return LinkVerdict(LinkHealth.WEDGED, what)
    if unheard >= limits.unheard:
        return LinkVerdict(LinkHealth.SILENT, f"no canary was heard for {unheard:.0f} s")
    return LinkVerdict(LinkHealth.RUNNING)


@dataclass
class LinkAudit:
    """The audit of one shovel. `jitter` gives numbers from 0 to 1."""

    limits: LinkLimits
    jitter: Callable[[], float]
    _first: Seconds | None = None
    _moved: Seconds = 0.0
    _connected: Seconds | None = None
    _acked: int = 0
    _restarts: int = 0
    _next: Seconds = field(default=float("-inf"))

    def observe(self, seen: LinkSeen, now: Seconds) -> tuple[LinkVerdict, tuple[RestartLink, ...]]:
        """Judge what is seen now; ask for a restart where that may help, with growing pauses."""
        if self._first is None:
            self._first = self._moved = now
        idle = seen.state is ShovelState.RUNNING and not seen.ready + seen.unacked
        if idle or seen.acked != self._acked:
            self._moved = now
        elif seen.heard is not None:
            self._moved = max(self._moved, seen.heard)
        self._acked = seen.acked
        if seen.state is not ShovelState.RUNNING:
            self._connected = None
        elif self._connected is None:
            self._connected = now
        unheard = now - (self._first if seen.heard is None else seen.heard)
        verdict = judge(seen, now - self._still_since(), unheard, self.limits)
        if verdict.health is LinkHealth.RUNNING and now >= self._next:
            self._restarts = 0
        return verdict, self._fix(verdict, now)

    def _still_since(self) -> Seconds:
        """A link that has just come back is given its time to move."""
        return self._moved if self._connected is None else max(self._moved, self._connected)

    def _fix(self, verdict: LinkVerdict, now: Seconds) -> tuple[RestartLink, ...]:
        if not self._needs_restart(verdict, now) or now < self._next:
            return ()
        self._next = now + restart_pause(self._restarts, self.limits, self.jitter())
        self._restarts += 1
        return (RestartLink(verdict.reason),)

    def _needs_restart(self, verdict: LinkVerdict, now: Seconds) -> bool:
        match verdict.health:
            case LinkHealth.MISSING | LinkHealth.WEDGED:
                return True
            case LinkHealth.STARTING | LinkHealth.TERMINATED:
                return now - self._moved >= self.limits.stalled
            case _:
                return False
