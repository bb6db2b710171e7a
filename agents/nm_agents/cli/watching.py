"""Alerts shown once each, whatever queues they come from, and when to stop. No clock of its own."""

from collections.abc import Callable, Iterator

from nm_agents.cli.screen import figures
from nm_agents.cli.screen.printable import as_json, printable
from nm_agents.cli.seen import Seen
from nm_bus.client.following import Followed, Heard, Quiet, Received
from nm_bus.codec import Rejected, decode
from nm_bus.errors import ConnectionLostError
from nm_bus.messages import Alert, AlertState, NodeId, Seconds
from nm_bus.topology import PEER_BYTES

IDLE = 1.0
"""Seconds without a message after which what was waiting is held to have been shown."""

MARKS = {AlertState.RAISED: "▲", AlertState.RESOLVED: "✓"}

Show = Callable[[Alert], None]


class Watch:
    """Shows, remembers, acknowledges, in this order: a crash between two repeats, never loses."""

    def __init__(self, seen: Seen, show: Show, complain: Callable[[str], None]) -> None:
        self._seen, self._show, self._complain = seen, show, complain

    def take(self, received: Received) -> None:
        """Show an alert unless it was shown before; then it may leave its queue."""
        event = decode(received.body, limit=PEER_BYTES)
        if isinstance(event, Rejected):
            self._complain(f"an unreadable alert from {received.supernode}: {event.detail}")
        elif isinstance(event.data, Alert):
            self._take_alert(event.data)
        received.ack()

    def _take_alert(self, alert: Alert) -> None:
        if alert.transition in self._seen:
            return
        self._show(alert)
        self._seen.add(alert.transition)


def alert_line(alert: Alert) -> str:
    """One alert as one line for a person."""
    mark = f"{MARKS.get(alert.state, '·')} {alert.state:8} {alert.severity:8}"
    return f"{figures.date(alert.changed)}  {mark} {printable(_what(alert))}"


def _what(alert: Alert) -> str:
    return f"{alert.subject}  {alert.summary}"


def alert_json(alert: Alert) -> str:
    """One alert as one line for a program."""
    return as_json(alert)


class Ending:
    """When a watch ends: after a time, when nothing is waiting any more, or never."""

    def __init__(self, supernodes: int, duration: Seconds | None, *, once: bool) -> None:
        self._supernodes, self._duration, self._once = supernodes, duration, once
        self._told: set[NodeId] = set()
        self._heard: set[NodeId] = set()
        self._begun: Seconds | None = None
        self._last: Seconds = 0.0

    def note(self, item: Followed, now: Seconds) -> bool:
        """Take what came, or that nothing did; say whether this is the end."""
        self._begun = now if self._begun is None else self._begun
        if not isinstance(item, Quiet):
            self._last = now
        if isinstance(item, Heard):
            self._told.add(item.supernode)
            self._heard |= set() if item.reason else {item.supernode}
        return self._is_over(now, self._begun)

    def _is_over(self, now: Seconds, begun: Seconds) -> bool:
        if self._duration is not None and now - begun >= self._duration:
            return True
        everyone = len(self._told) >= self._supernodes
        return self._once and everyone and now - self._last >= IDLE

    def check(self) -> None:
        """Raise ConnectionLostError when no supernode was heard at all until the end."""
        if not self._heard:
            raise ConnectionLostError("no supernode could be heard; `nm-bus doctor` says why")


def until(
    followed: Iterator[Followed], ending: Ending, clock: Callable[[], Seconds]
) -> Iterator[Followed]:
    """Pass on what comes until the end has come."""
    for item in followed:
        yield item
        if ending.note(item, clock()):
            ending.check()
            return
