"""The alerts at work: conditions of all parts go in, transitions come out; those of the other
supernodes are learnt; principals subscribe."""

import logging
from dataclasses import dataclass, field
from functools import partial

from nm_agents.host.inbound import LATER, EachAcked, Later, Routes
from nm_agents.supernode.alerts.outbox import Outbox
from nm_agents.supernode.asker import Asker
from nm_agents.supernode.broker.calls import BrokerCalls
from nm_agents.supernode.part import Part, Queried, Requested
from nm_bus.codes import UNAVAILABLE
from nm_bus.core.alerts.kinds import OWN, Scope
from nm_bus.core.alerts.life import Alerts, key_of
from nm_bus.core.pages import first_page
from nm_bus.core.view import View
from nm_bus.errors import NmBusError
from nm_bus.messages import (
    Alert,
    AlertState,
    Event,
    Message,
    Query,
    Seconds,
    Severity,
    Subscribe,
)
from nm_bus.settings import SupernodeSettings, timing
from nm_bus.topology import alert_bindings
from nm_bus.transport.base import Delivery, Flow, Status, Transport

_LOG = logging.getLogger(__name__)

TICK: Seconds = 0.5

MOST_ALERTS = 5_000
"""How many active alerts one answer holds; it says when there are more."""

LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.CRITICAL: logging.ERROR,
}


@dataclass(slots=True)
class AlertsPart(Part):
    """The alerts of one supernode. Those that are active are sent to the others again and again,
    for those that were away."""

    settings: SupernodeSettings
    transport: Transport
    outbox: Outbox
    view: View
    calls: BrokerCalls
    parts: list[Part] = field(default_factory=list)
    """Those that report what is wrong."""
    alerts: Alerts = field(init=False)

    def __post_init__(self) -> None:
        active = {key_of(alert): alert for alert in self.outbox.load()}
        self.alerts = Alerts(self.settings.node, active)

    def from_peers(self) -> Routes:
        """The others' alerts."""
        return {Alert: self._learn}

    def requests(self) -> dict[type[Message], Requested]:
        """Subscribe."""
        return {Subscribe: self._subscribe}

    def queries(self) -> dict[str, Queried]:
        """The active alerts."""
        return {"alerts": self._query}

    def start(self) -> None:
        """Compare what holds with what is active, from now on."""
        self._tick()
        self._repeat()

    def connection(self, status: Status) -> None:
        """Publish what the broker does not have yet."""
        if status.flow is Flow.UP:
            self.outbox.again()

    def active(self) -> list[Alert]:
        """The alerts that are active."""
        return list(self.alerts.active.values())

    def raised(self, transitions: list[Alert]) -> None:
        """Keep and publish transitions, each once."""
        for alert in transitions:
            log_alert(alert)
        if transitions:
            self.outbox.put(transitions, self.alerts.active, *map(key_of, transitions))

    def _tick(self) -> None:
        now = self.transport.now()
        transitions = [alert for part in self.parts for alert in part.transitions(now)]
        holding = [condition for part in self.parts for condition in part.conditions(now)]
        # what is known of a peer is known once it spoke: until then nothing of it is over
        whole = not any(self.view.is_expected(node, now) for node in self.view.supernodes)
        for about in OWN:
            own = [condition for condition in holding if condition.kind.about is about]
            transitions += self.alerts.report(Scope(about, self.view.origin), own, now, whole=whole)
        self.raised([*transitions, *self.alerts.tick(now)])
        self.transport.later(TICK, self._tick)

    def _repeat(self) -> None:
        self.outbox.again()
        self.outbox.repeat([each for each in self.active() if each.origin == self.view.origin])
        self.transport.later(timing(self.settings).roster, self._repeat)

    def _learn(self, event: Event[Alert], delivery: Delivery, _now: Seconds) -> Later | None:
        alert = event.data
        if alert.origin in self.view.outsiders:
            return None
        ended = self.alerts.learn(alert)
        self.outbox.put([] if ended is None else [ended], self.alerts.active, key_of(alert))
        self.outbox.relay(alert, partial(EachAcked(self.transport).release, delivery))
        return LATER

    def _query(self, _query: Query, asker: Asker, _now: Seconds) -> None:
        alerts, more = first_page(self.active(), MOST_ALERTS)
        asker.reply({"alerts": alerts, "more": more})

    def _subscribe(self, wanted: Subscribe, asker: Asker) -> None:
        if self.calls.watch is None:
            asker.refuse(UNAVAILABLE, "this supernode has no management API configured")
            return
        keys = alert_bindings(wanted.severities, wanted.under)
        self.calls.call(
            lambda watch: watch.subscribe(asker.user, wanted.name, keys),
            lambda queue: asker.reply({"queue": queue}),
            partial(_not_subscribed, asker),
        )


def _not_subscribed(asker: Asker, error: NmBusError) -> None:
    asker.refuse(UNAVAILABLE, str(error))


def log_alert(alert: Alert) -> None:
    """An alert's transition, as loud as the alert is; that it is over is only information."""
    raised = alert.state is AlertState.RAISED
    level = LEVELS[alert.severity] if raised else logging.INFO
    _LOG.log(level, "alert %s: %s", alert.state, alert.summary)
