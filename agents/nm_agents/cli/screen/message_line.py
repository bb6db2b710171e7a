"""A live message as one line: when, where, who, and what it says. Pure.

Whatever comes is shown, unreadable messages too: who watches the bus wants to see those most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from nm_agents.cli.screen import figures
from nm_agents.cli.screen.printable import first_bytes, printable
from nm_bus.client.carrier import Received
from nm_bus.codec import Rejected, decode
from nm_bus.messages import (
    Alert,
    Ask,
    Canary,
    CheckStatus,
    Event,
    Heartbeat,
    Hello,
    Message,
    Metrics,
    NodeId,
    Properties,
    Quarantined,
    Query,
    Seconds,
    Statement,
    Subscribe,
    Tail,
    message_type,
)
from nm_bus.topology import PEER_BYTES

SHOWN = 4
"""How many values of a metrics message fit into a line."""

SHOWN_BYTES = 60
"""How much of an unreadable message is shown."""

WIDTH = 160
"""A summary's length at most."""


@dataclass(frozen=True, slots=True)
class MessageLine:
    """One message, ready to be printed."""

    at: Seconds
    supernode: NodeId
    key: str
    who: str
    type: str
    summary: str
    message: Event[Message] | None = None

    def line(self) -> str:
        """The line for a person: time (UTC), key, who, what."""
        who = f"  {printable(self.who)}" if self.who else ""
        return f"{figures.clock(self.at)}  {printable(self.key)}{who}  {self.summary}"

    def data(self) -> dict[str, Any]:
        """The same and the whole message, for programs."""
        found = {"at": self.at, "supernode": self.supernode, "key": self.key, "who": self.who}
        whole = msgspec.to_builtins(self.message) if self.message else None
        return found | {"type": self.type, "summary": self.summary, "message": whole}


def message_line(received: Received, now: Seconds) -> MessageLine:
    """Read a message as far as it can be read."""
    event = decode(received.body, limit=PEER_BYTES)
    if isinstance(event, Rejected):
        start = received.body[:SHOWN_BYTES].decode("utf-8", errors="replace")
        summary = printable(f"unreadable ({event.reason}): {event.detail}: {start}", WIDTH)
        who = received.user_id or ""
        return MessageLine(now, received.supernode, received.key, who, "", summary)
    return MessageLine(
        now,
        received.supernode,
        received.key,
        received.user_id or event.source,
        event.type,
        summary_of(event.data),
        event,
    )


def summary_of(message: Message) -> str:
    """What a message says, in a few safe words."""
    tell = _SUMMARIES.get(type(message))
    return printable(tell(message) if tell else message_type(message), WIDTH)


def _heartbeat(beat: Heartbeat) -> str:
    failing = [f"{c.name} {c.status}" for c in beat.checks if c.status is not CheckStatus.OK]
    fine = f"{figures.plural(len(beat.checks), 'check')} ok" if beat.checks else "no checks"
    checks = ", ".join(failing) or fine
    leaving = "leaving, " if beat.leaving else ""
    spooled = f", {beat.spooled} spooled" if beat.spooled else ""
    return f"beat {beat.sequence}, {leaving}up {figures.span(beat.uptime)}, {checks}{spooled}"


def _metrics(metrics: Metrics) -> str:
    some = [f"{name} {figures.number(v)}" for name, v in sorted(metrics.values.items())[:SHOWN]]
    more = len(metrics.values) - len(some)
    late = f", {figures.span(metrics.age)} old" if metrics.age >= 1 else ""
    return ", ".join(some) + (f" and {more} more" if more else "") + late


def _properties(properties: Properties) -> str:
    return f"properties: {properties.organisation} {properties.description}".strip()


def _alert(alert: Alert) -> str:
    return f"{alert.state} {alert.severity} {alert.kind} on {alert.subject}: {alert.summary}"


def _canary(canary: Canary) -> str:
    return f"canary {canary.sequence} through {canary.path}"


def _statement(said: Statement) -> str:
    health = ", ".join(f"{m.node} {m.health}" for m in said.members[:SHOWN])
    more = len(said.members) - SHOWN
    changes = f": {health}" + (f" and {more} more" if more > 0 else "") if health else ""
    return f"share {said.partition} of {said.origin}, {len(said.heard)} heard{changes}"


def _request(asked: Query | Ask | Hello | Subscribe | Tail) -> str:
    words = (str(value) for value in msgspec.structs.astuple(asked) if value)
    return f"{type(asked).__name__.lower()}: {' '.join(words)}"


def _quarantined(refused: Quarantined) -> str:
    return (
        f"{refused.reason}: {refused.detail} [{refused.size} bytes to {refused.exchange} "
        f"{refused.key} by {refused.who or 'unknown'}] {first_bytes(refused.first)}"
    )


_SUMMARIES: dict[type, Callable[[Any], str]] = {
    Heartbeat: _heartbeat,
    Metrics: _metrics,
    Properties: _properties,
    Alert: _alert,
    Canary: _canary,
    Statement: _statement,
    Query: _request,
    Ask: _request,
    Hello: _request,
    Subscribe: _request,
    Tail: _request,
    Quarantined: _quarantined,
}
