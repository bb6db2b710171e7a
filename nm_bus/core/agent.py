"""What a member agent decides: what it says of itself, and when a heartbeat may go.

Pure: the time and a random number in [0, 1) come in as arguments, messages go out as values.
Measuring, running plugins, sending and keeping belong to the program.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nm_bus.core.nagios import PluginVerdict
from nm_bus.messages import (
    Check,
    Declared,
    Heartbeat,
    Metrics,
    NodeId,
    Report,
    Seconds,
)


@dataclass
class Agent:
    """One life of one agent: its incarnation, its counters, the last result of each check."""

    node: NodeId
    incarnation: str
    interval: Seconds
    version: str
    started: Seconds
    checks: dict[str, Check] = field(default_factory=dict)
    _beats: int = 0
    _measurements: int = 0

    def heartbeat(self, now: Seconds, *, spooled: int = 0, leaving: bool = False) -> Heartbeat:
        """The next heartbeat. Each call takes a sequence number: call it only to send."""
        self._beats += 1
        return Heartbeat(
            incarnation=self.incarnation,
            sequence=self._beats,
            interval=self.interval,
            uptime=max(0.0, now - self.started),
            agent=self.version,
            checks=tuple(self.checks.values()),
            leaving=leaving,
            spooled=spooled,
        )

    @property
    def measured(self) -> int:
        """How many messages of measurements this life of the agent has made."""
        return self._measurements

    def metrics(self, values: dict[str, float], declared: tuple[Declared, ...] = ()) -> Metrics:
        """New measurements. Their age is filled in when they are sent."""
        self._measurements += 1
        return Metrics(self.incarnation, self._measurements, 0.0, values, declared)

    def checked(self, name: str, verdict: PluginVerdict, now: Seconds) -> bool:
        """Take a check's result; True when its status changed, which is news to be told at once."""
        before = self.checks.get(name)
        changed = before is None or before.status is not verdict.status
        since = now if before is None or changed else before.since
        self.checks[name] = Check(name, verdict.status, verdict.output, since)
        return changed

    def report(self, request: str, answer: dict[str, object]) -> Report:
        """The answer to an Ask that could be answered."""
        return Report(request, self.node, ok=True, answer=answer)

    def refusal(self, request: str, error: str) -> Report:
        """The answer to an Ask that could not; `error` is one clear sentence."""
        return Report(request, self.node, ok=False, error=error)


@dataclass
class Pulse:
    """Whether a heartbeat may go now.

    One is in flight at a time, so that a slow broker is never handed a pile of stale ones: what
    falls due meanwhile is owed, and a fresh one goes as soon as the way is free. One that is in
    flight for a whole interval no longer holds up the next: the pipe may have lost it.
    """

    interval: Seconds
    owed: bool = False
    _sent: Seconds | None = None

    def due(self) -> None:
        """A heartbeat fell due, by the clock or by news."""
        self.owed = True

    def may_go(self, up: bool, now: Seconds) -> bool:
        """True when one is owed, the broker can be reached and none is in flight."""
        waiting = self._sent is not None and now - self._sent < self.interval
        return self.owed and up and not waiting

    def went(self, now: Seconds) -> None:
        """One was sent."""
        self.owed, self._sent = False, now

    def settled(self, sent: Seconds) -> None:
        """The one sent at that time was confirmed or lost; it holds up nothing any more."""
        if self._sent == sent:
            self._sent = None


def sent_after(metrics: Metrics, measured: Seconds, now: Seconds) -> Metrics:
    """Metrics as they are sent: with their age, which is never below zero."""
    return Metrics(
        metrics.incarnation,
        metrics.sequence,
        max(0.0, now - measured),
        metrics.values,
        metrics.declared,
    )


def start_times(count: int, within: Seconds, chance: float) -> list[Seconds]:
    """Spread the first runs of so many checks evenly, from a start that differs by host."""
    return [within * (index + chance) / count for index in range(count)]


# --- What was measured at once, what could not be, and which of it fits into a message.
#
# Pure. One series that no supernode would take is left out and named, so that it never costs the
# others, whoever brought it: a setting, a plugin, a file.

LONGEST = 300
"""How many letters a series' name may have, as `schemas/terms` says."""

MOST = 1_000
"""How many series one message may bring, as `schemas/metrics` says."""

MOST_BYTES = 229_376
"""How long series and values may be together: a message has a limit of 256 KiB."""

VALUE_BYTES = 32
"""What a value takes at most, with what stands around it."""

_FULL = f"only {MOST_BYTES} bytes of series fit into one message"

_NAME = re.compile(
    r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*(\[[^\[\]\x00-\x1f\x7f\ud800-\udfff]+\])?"
)
_UNFIT = re.compile(r"[\[\]\x00-\x1f\x7f\ud800-\udfff]")
_LABEL = 200
"""How much of a label is kept as it is."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Series and their values; `troubles` has a reason for each source that could not be read."""

    values: dict[str, float] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)


def fitting(values: Mapping[str, float]) -> Measurement:
    """Keep what a message may hold; every other series becomes a trouble."""
    kept: dict[str, float] = {}
    troubles: dict[str, str] = {}
    room = MOST_BYTES
    for name, value in values.items():
        size = len(name.encode(errors="replace")) + VALUE_BYTES
        reason = _why_not(name, value, len(kept)) or (_FULL if size > room else "")
        if reason:
            troubles[printable(name)] = reason
        else:
            kept[name] = value
            room -= size
    return Measurement(kept, troubles)


def label(text: str) -> str:
    """A text, such as a mount point, as it may stand in the brackets of a series' name.

    What has to be changed ends with a hash of the original, so that no two become one.
    """
    plain = _UNFIT.sub("_", text)
    if plain == text and 0 < len(text) <= _LABEL:
        return text
    mark = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{plain[:_LABEL]}-{mark}"


def printable(name: str) -> str:
    """A name as it may stand in a sentence."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:60]


def _why_not(name: str, value: float, kept: int) -> str:
    if kept >= MOST:
        return f"only {MOST} series fit into one message"
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        return "is no name of a series"
    return "" if math.isfinite(value) else "is no finite number"
