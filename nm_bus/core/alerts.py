"""The life of alerts: one id a condition, raised once and resolved once, whoever watches.

Pure. Conditions come in as what holds now, transitions go out as messages. Another supernode's
alerts are learnt, so that whoever is responsible next goes on with the same id.
"""

import hashlib
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

import msgspec

from nm_bus.messages import Alert, AlertState, NodeId, Seconds, Severity

REMEMBERED = 10_000
"""Alerts that are remembered as over, so that a late word does not bring them back."""


LONGEST_NAME, LONGEST_TEXT = 480, 2_000
"""How long the schema lets an alert's names and texts be; a name is followed by its transition."""


class Condition(msgspec.Struct, frozen=True):
    """Something that is wrong. `key` is the same for as long as it is the same trouble.

    `mine` tells whether this supernode speaks for it; a condition that others speak for is only
    known. `holds` is None when it cannot be known now: then nothing is raised and nothing resolved.
    """

    kind: str
    subject: NodeId
    severity: Severity
    summary: str
    what: str = ""
    holds: bool | None = True
    mine: bool = True
    patience: Seconds = 0.0
    details: dict[str, str] = {}

    @property
    def key(self) -> str:
        """The condition's name: kind, subject, and what of it."""
        return _key(self.kind, self.subject, self.what)


@dataclass(slots=True)
class Alerts:
    """The alerts that are active, by condition; `active` is what must survive a restart."""

    origin: NodeId
    active: dict[str, Alert] = field(default_factory=dict)
    _waiting: dict[str, Seconds] = field(default_factory=dict)
    _over: dict[str, None] = field(default_factory=dict)

    def tick(
        self,
        conditions: Iterable[Condition],
        now: Seconds,
        *,
        complete: bool = True,
        orphaned: Set[NodeId] = frozenset(),
    ) -> list[Alert]:
        """Compare what holds with what is active; give the transitions, to be told once each.

        A condition that is not mentioned does not hold any more, if these are `complete`: after a
        start they are not until everybody who speaks has spoken. One with `patience` is raised
        only after it has held that long, and its clock starts anew whenever it stops holding. The
        alerts of `orphaned` supernodes, which nobody else will resolve, end like the own ones.
        """
        told = {condition.key: condition for condition in conditions}
        raised = [alert for c in told.values() if (alert := self._raise(c, now))]
        for key in self._waiting.keys() - told.keys():
            del self._waiting[key]
        resolved = [
            self._resolve(key, now)
            for key in list(self.active)
            if self._is_over(key, told.get(key), {self.origin, *orphaned}, complete=complete)
        ]
        return raised + resolved

    def learn(self, alert: Alert) -> list[Alert]:
        """Take another supernode's transition; of two alerts for one condition the older stays.

        Transitions may come out of order: what was resolved is not raised again under its id.
        """
        key = key_of(alert)
        own = self.active.get(key)
        if alert.state is AlertState.RESOLVED:
            self._end(alert)
            if own is not None and own.alert == alert.alert:
                del self.active[key]
            return []
        if alert.alert in self._over:
            return []
        if own is None or own.alert == alert.alert:
            self.active[key] = alert
            return []
        older, newer = sorted((own, alert), key=lambda each: (each.raised, each.alert))
        self.active[key] = older
        return [self._resolved(newer, alert.changed)] if newer.origin == self.origin else []

    def _raise(self, condition: Condition, now: Seconds) -> Alert | None:
        key = condition.key
        if condition.holds is not True or not condition.mine or key in self.active:
            self._waiting.pop(key, None)
            return None
        if now - self._waiting.setdefault(key, now) < condition.patience:
            return None
        del self._waiting[key]
        self.active[key] = alert = self._raised(condition, now)
        return alert

    def _raised(self, condition: Condition, now: Seconds) -> Alert:
        name = shortened(f"{condition.key}:{self.origin}:{round(now * 1000)}", LONGEST_NAME)
        details = condition.details | ({"what": condition.what} if condition.what else {})
        return Alert(
            alert=name,
            transition=f"{name}/{AlertState.RAISED}",
            state=AlertState.RAISED,
            severity=condition.severity,
            kind=condition.kind,
            subject=condition.subject,
            summary=_cut(condition.summary),
            raised=now,
            changed=now,
            origin=self.origin,
            details={key: _cut(text) for key, text in details.items()},
        )

    def _is_over(
        self, key: str, condition: Condition | None, own: Set[NodeId], *, complete: bool
    ) -> bool:
        if condition is None:
            return complete and self.active[key].origin in own
        is_orphaned = self.active[key].origin in own - {self.origin}
        return condition.holds is False and (condition.mine or is_orphaned)

    def _resolve(self, key: str, now: Seconds) -> Alert:
        return self._resolved(self.active.pop(key), now)

    def _end(self, alert: Alert) -> None:
        self._over[alert.alert] = None
        while len(self._over) > REMEMBERED:
            del self._over[next(iter(self._over))]

    def _resolved(self, alert: Alert, now: Seconds) -> Alert:
        self._end(alert)
        return msgspec.structs.replace(
            alert,
            transition=f"{alert.alert}/{AlertState.RESOLVED}",
            state=AlertState.RESOLVED,
            changed=now,
            origin=self.origin,
        )


def key_of(alert: Alert) -> str:
    """The condition's name of an alert, as `Condition.key` gives it."""
    return _key(alert.kind, alert.subject, alert.details.get("what", ""))


def shortened(name: str, most: int) -> str:
    """A name as it is; of a longer one its beginning and its digest, so that it stays its own."""
    if len(name) <= most:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{name[: most - 33]}~{digest}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _key(*parts: str) -> str:
    return ":".join(part for part in parts if part)
