"""Alerts on their way: kept on disk until this broker has them, and each was handed to the links.

A transition is stored before it is published and dropped once both publications are confirmed.
What is left after a crash or an outage is published again; receivers drop what they know by id.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from nm_agents.host.sender import Sender
from nm_bus.boundary import attempt
from nm_bus.codec import LONGEST_ID
from nm_bus.core.alerts.life import shortened
from nm_bus.messages import Alert, NodeId
from nm_bus.storage.base import Store
from nm_bus.topology import ALERTS, OUT, LinkKind, alert_key
from nm_bus.transport.base import Outcome, Published, Transport

_LOG = logging.getLogger(__name__)

ACTIVE, WAITING = "alert-active", "alert-outbox"

REMEMBERED = 10_000
"""Transitions of others that are remembered as published here."""


@dataclass(slots=True)
class Outbox:
    """The alerts of one supernode, to its own subscribers and to its peers."""

    transport: Transport
    store: Store
    origin: NodeId
    _waiting: dict[str, Alert] = field(default_factory=dict)
    _stored: dict[str, Alert] = field(default_factory=dict)
    _under_way: set[str] = field(default_factory=set)
    _published: "OrderedDict[str, None]" = field(default_factory=OrderedDict)

    def load(self) -> list[Alert]:
        """Take up what was left; the active alerts, as they were stored."""
        self._waiting = dict(self._rows(WAITING))
        self._stored = dict(self._rows(ACTIVE))
        return list(self._stored.values())

    def _rows(self, kind: str) -> Iterator[tuple[str, Alert]]:
        """What can be read; any other row is deleted, and the log says so."""
        for key, body in list(self.store.load(kind)):
            alert = attempt(partial(msgspec.json.decode, body, type=Alert))
            if isinstance(alert, Alert):
                yield key, alert
            else:
                _LOG.error("a stored alert (%s, %r) cannot be read, and is forgotten", kind, key)
                self.store.delete(kind, [key])

    def put(self, transitions: list[Alert], active: Mapping[str, Alert], *keys: str) -> None:
        """Keep transitions and what is active after them, in one step; then publish.

        `keys` are the conditions that may have changed. Only what is another is written.
        """
        changed = {k: active[k] for k in keys if k in active and self._stored.get(k) != active[k]}
        gone = [k for k in keys if k not in active and k in self._stored]
        if transitions or changed or gone:
            with self.store.transaction():
                self.store.put_many(WAITING, {a.transition: _plain(a) for a in transitions})
                self.store.put_many(ACTIVE, {key: _plain(alert) for key, alert in changed.items()})
                self.store.delete(ACTIVE, gone)
        self._stored.update(changed)
        for key in gone:
            del self._stored[key]
        for alert in transitions:
            self._waiting[alert.transition] = alert
            self._send(alert)

    def again(self) -> None:
        """Publish everything that was never confirmed and is not under way."""
        for alert in list(self._waiting.values()):
            if alert.transition not in self._under_way:
                self._send(alert)

    def repeat(self, active: list[Alert]) -> None:
        """Tell the peers what is active, for those that were away: they know it by id."""
        for alert in active:
            self._publish(OUT, f"{LinkKind.CONTROL}.alert", alert, None)

    def relay(self, alert: Alert, done: Callable[[bool], None]) -> None:
        """Publish a peer's transition to our subscribers, once; `done`: whether they have it."""
        if alert.transition in self._published:
            done(True)
            return
        self._published[alert.transition] = None
        while len(self._published) > REMEMBERED:
            self._published.popitem(last=False)
        self._local(alert, partial(self._relayed, alert, done))

    def _relayed(self, alert: Alert, done: Callable[[bool], None], outcome: Outcome) -> None:
        if outcome is not Outcome.CONFIRMED:
            self._published.pop(alert.transition, None)
        done(outcome is Outcome.CONFIRMED)

    def _send(self, alert: Alert) -> None:
        self._under_way.add(alert.transition)
        self._local(alert, partial(self._sent_here, alert))

    def _sent_here(self, alert: Alert, outcome: Outcome) -> None:
        if outcome is Outcome.CONFIRMED:
            done = partial(self._sent_there, alert)
            self._publish(OUT, f"{LinkKind.CONTROL}.alert", alert, done)
        else:
            self._under_way.discard(alert.transition)

    def _sent_there(self, alert: Alert, outcome: Outcome) -> None:
        self._under_way.discard(alert.transition)
        if outcome is Outcome.CONFIRMED and alert.transition in self._waiting:
            del self._waiting[alert.transition]
            self.store.delete(WAITING, [alert.transition])

    def _local(self, alert: Alert, done: Published) -> None:
        key = alert_key(alert.severity, alert.kind, alert.subject)
        self._publish(ALERTS, key, alert, done)

    def _publish(self, exchange: str, key: str, alert: Alert, done: Published | None) -> None:
        id = shortened(alert.transition, LONGEST_ID)
        sender = Sender(self.transport, alert.origin)
        sender.publish(exchange, key, alert, done, id=id, persistent=True)


def _plain(alert: Alert) -> bytes:
    return msgspec.json.encode(alert)
