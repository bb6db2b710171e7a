"""The life of alerts: one id a condition, raised once and resolved once, whoever watches.

Pure. What is wrong with one thing comes in as a report when it changes, transitions go out as
messages. Work is of the size of a report, and memory of what waits or is active: never of the
federation. Another supernode's alerts are learnt, so that the one that is responsible next goes on
with the same id.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

import msgspec

from nm_bus.core.alerts.conditions import Condition, condition_key
from nm_bus.core.alerts.kinds import Scope, scope_of
from nm_bus.messages import Alert, AlertState, NodeId, Seconds

REMEMBERED = 10_000
"""Alerts that are remembered as over, so that a late transition does not bring them back; of more,
the oldest is forgotten."""

LONGEST_NAME, LONGEST_TEXT = 480, 2_000
"""How long the schema lets an alert's names and texts be; a name is followed by its number."""


@dataclass(frozen=True, slots=True)
class WaitingCondition:
    """A condition that holds, but not yet for as long as its patience."""

    scope: Scope
    since: Seconds
    condition: Condition

    @property
    def due(self) -> Seconds:
        """When it is raised, if it goes on."""
        return self.since + self.condition.patience


@dataclass(slots=True)
class Alerts:
    """The alerts that are active, by condition; `active` is what must survive a restart.

    Every alert belongs to a scope, and the one supernode that is responsible for a scope reports
    on it: `responsible` tells which.
    """

    origin: NodeId
    active: dict[str, Alert] = field(default_factory=dict)
    _waiting: dict[str, WaitingCondition] = field(default_factory=dict)
    _due: list[tuple[Seconds, str]] = field(default_factory=list)
    """A heap; an entry whose condition waits no more, or until another time, counts for nothing."""
    _keys: dict[Scope, set[str]] = field(default_factory=dict)
    """Which conditions of a scope wait or are active."""
    _over: dict[str, None] = field(default_factory=dict)
    _unsettled: dict[Scope, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, alert in self.active.items():
            self._keys.setdefault(scope_of(alert), set()).add(key)
        self.review()

    def report(
        self, scope: Scope, conditions: Iterable[Condition], now: Seconds, *, whole: bool = True
    ) -> list[Alert]:
        """All that is wrong with one thing now, by the supernode that is responsible for it.

        Gives the transitions, to be told once each. What the report does not name does not hold
        any more, whoever raised it; what `holds` None neither raises nor resolves anything. A
        condition with patience is raised only after it has held that long, and its clock starts
        again whenever it stops holding. A report that is not `whole`, since not all is known yet,
        ends only what it names.
        """
        told = {condition.key: condition for condition in conditions}
        raised = [self._take(scope, key, each, now) for key, each in told.items()]
        over = [key for key in self._keys.get(scope, ()) if whole and key not in told]
        resolved = [self._not_named(scope, key, now) for key in over]
        return [alert for alert in (*raised, *resolved) if alert is not None]

    def withdraw(self, scope: Scope) -> None:
        """This supernode is not responsible for a scope (any more): what waited waits no more,
        what is active is left to the supernode that is."""
        for key in list(self._keys.get(scope, ())):
            self._wait_no_more(key)

    def tick(self, now: Seconds) -> list[Alert]:
        """Raise what has held for as long as its patience."""
        raised = []
        while self._due and self._due[0][0] <= now:
            due, key = heappop(self._due)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.due == due:
                raised.append(self._raise(waiting.scope, waiting.condition, now))
        return raised

    @property
    def next_due(self) -> Seconds | None:
        """When `tick` may have something to do next, if nothing is reported until then."""
        return self._due[0][0] if self._due else None

    def learn(self, alert: Alert) -> Alert | None:
        """Take another supernode's transition; of two alerts for one condition the older stays.

        Transitions may come out of order, and repeatedly: a number that is not higher than the one
        that is known changes nothing, and what was resolved is over. Gives the transition that
        ends an own alert, if it was the newer one.
        """
        if alert.alert in self._over:
            return None
        key = key_of(alert)
        known = self.active.get(key)
        if alert.state is AlertState.RESOLVED:
            self._remember_over(alert)
            if known is not None and known.alert == alert.alert:
                self._remove(key)
                self._unsettled[scope_of(known)] = None
            return None
        if known is not None and known.alert == alert.alert:
            if alert.number > known.number:
                self._activate(key, alert)
            return None
        self._unsettled[scope_of(alert)] = None
        if known is None:
            self._activate(key, alert)
            return None
        older, newer = sorted((known, alert), key=lambda each: (each.raised, each.alert))
        self._activate(key, older)
        return self._resolved(newer, alert.changed) if newer.origin == self.origin else None

    def close(self, alert: Alert, now: Seconds) -> Alert:
        """Resolve an active alert of which nobody reports any more."""
        self._remove(key_of(alert))
        return self._resolved(alert, now)

    def of(self, scope: Scope) -> list[Alert]:
        """The active alerts of a scope."""
        keys = self._keys.get(scope, ())
        found = [self.active[key] for key in keys if key in self.active]
        return [alert for alert in found if scope_of(alert) == scope]

    def concerns(self, scope: Scope) -> bool:
        """Whether anything of a scope waits or is active."""
        return scope in self._keys

    def review(self) -> None:
        """Have every scope with active alerts reported again: another supernode may be
        responsible for it now, or more is known. Walks over what is active."""
        self._unsettled.update((scope_of(alert), None) for alert in self.active.values())

    def take_unsettled(self) -> list[Scope]:
        """The scopes that have to be reported again though nothing changed there: of a review, or
        because an alert was learnt of which the last report did not know."""
        unsettled, self._unsettled = self._unsettled, {}
        return list(unsettled)

    def _take(self, scope: Scope, key: str, condition: Condition, now: Seconds) -> Alert | None:
        if condition.holds is True and key not in self.active:
            before = self._waiting.get(key)
            if before is not None and before.scope != scope:
                self._forget(before.scope, key)
            since = now if before is None else before.since
            waiting = self._waiting[key] = WaitingCondition(scope, since, condition)
            self._keys.setdefault(scope, set()).add(key)
            if waiting.due <= now:
                return self._raise(scope, condition, now)
            if before is None or before.due != waiting.due:
                self._push(waiting.due, key)
            return None
        self._wait_no_more(key)
        if condition.holds is False and key in self.active:
            return self.close(self.active[key], now)
        return None

    def _push(self, due: Seconds, key: str) -> None:
        heappush(self._due, (due, key))
        if len(self._due) > 2 * len(self._waiting) + 100:
            # most of it is of conditions that came and went
            self._due = [(each.due, key) for key, each in self._waiting.items()]
            heapify(self._due)

    def _wait_no_more(self, key: str) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            alert = self.active.get(key)
            if alert is None or scope_of(alert) != waiting.scope:
                self._forget(waiting.scope, key)

    def _not_named(self, scope: Scope, key: str, now: Seconds) -> Alert | None:
        self._wait_no_more(key)
        alert = self.active.get(key)
        return self.close(alert, now) if alert and scope_of(alert) == scope else None

    def _raise(self, scope: Scope, condition: Condition, now: Seconds) -> Alert:
        self._wait_no_more(condition.key)
        alert = raised(condition, self.origin, now)
        self._activate(condition.key, alert)
        return alert

    def _activate(self, key: str, alert: Alert) -> None:
        self._wait_no_more(key)
        if key in self.active:
            self._remove(key)
        self.active[key] = alert
        self._keys.setdefault(scope_of(alert), set()).add(key)

    def _remove(self, key: str) -> None:
        scope = scope_of(self.active.pop(key))
        self._forget(scope, key)

    def _forget(self, scope: Scope, key: str) -> None:
        keys = self._keys.get(scope, set())
        keys.discard(key)
        if not keys:
            self._keys.pop(scope, None)

    def _remember_over(self, alert: Alert) -> None:
        self._over[alert.alert] = None
        while len(self._over) > REMEMBERED:
            del self._over[next(iter(self._over))]

    def _resolved(self, alert: Alert, now: Seconds) -> Alert:
        self._remember_over(alert)
        return msgspec.structs.replace(
            alert,
            number=alert.number + 1,
            state=AlertState.RESOLVED,
            changed=now,
            origin=self.origin,
        )


def raised(condition: Condition, origin: NodeId, now: Seconds) -> Alert:
    """The first transition of a new alert."""
    return Alert(
        alert=shortened(f"{condition.key}:{origin}:{round(now * 1000)}", LONGEST_NAME),
        number=1,
        state=AlertState.RAISED,
        severity=condition.kind.severity,
        kind=condition.kind.name,
        subject=condition.subject,
        summary=_cut(condition.summary),
        raised=now,
        changed=now,
        origin=origin,
        what=condition.what,
        details={key: _cut(text) for key, text in condition.details.items()},
    )


def key_of(alert: Alert) -> str:
    """The condition's name of an alert, as `Condition.key` gives it."""
    return condition_key(alert.kind, alert.subject, alert.what)


def shortened(name: str, most: int) -> str:
    """A name as it is; of a longer one its beginning and its digest, so that it stays its own."""
    if len(name) <= most:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{name[: most - 33]}~{digest}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
