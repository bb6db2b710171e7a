"""What a view says of members and supernodes, reported to the alerts as it changes.

Pure. What a supernode says of itself (links, broker, quarantine, ledger) is reported by the parts
that know it; here is only who ends it when that supernode is no more.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from nm_bus.core.alerts.conditions import member_conditions, supernode_silent
from nm_bus.core.alerts.kinds import OWN, About, Scope, scope_of
from nm_bus.core.alerts.life import Alerts
from nm_bus.core.view import View
from nm_bus.messages import Alert, NodeId, Seconds

# --- Which supernode is responsible for what is wrong, by what is known of the federation. Pure.


def responsible_for_member(view: View, node: NodeId, now: Seconds) -> NodeId | None:
    """A member's home, while it is heard; else the speaker. None for a member without a home."""
    home = view.home(node)
    if home is None or home == view.origin or view.is_expected(home, now):
        return home
    if not view.silence(home, now):
        return home
    return speaker(view, now)


def responsible_for_supernode(view: View, node: NodeId, now: Seconds) -> NodeId:
    """Another one has to say that a supernode is silent."""
    return speaker(view, now, other_than=node)


def responsible(view: View, alert: Alert, now: Seconds) -> NodeId:
    """For an alert that exists: as for its subject; for everything else the supernode that raised
    it, and the speaker in place of one that is no supernode of the project any more."""
    scope = scope_of(alert)
    if scope.about is About.SUPERNODE:
        return responsible_for_supernode(view, scope.of, now)
    if scope.about is About.MEMBER and (home := responsible_for_member(view, scope.of, now)):
        return home
    return alert.origin if view.is_inside(alert.origin) else speaker(view, now)


def speaker(view: View, now: Seconds, *, other_than: NodeId = "") -> NodeId:
    """Who speaks for a supernode that cannot: the first by name of the project's that are heard."""
    apart = {other_than, *view.outsiders}
    heard = (n for n in view.supernodes if n not in apart and not view.silence(n, now))
    return min([view.origin, *heard])


@dataclass(slots=True)
class ViewReports:
    """One supernode's reports on the members and supernodes of its view.

    Work per tick: the members that changed, the supernodes, and, when the responsible ones are
    others or the view became complete, what is active.
    """

    view: View
    alerts: Alerts
    _complete: bool = False
    _standing: tuple[NodeId, Set[NodeId], Set[NodeId]] | None = None

    def tick(self, now: Seconds, *, complete: bool, deaf: bool) -> Iterator[Alert]:
        """Report what changed; give the transitions.

        `complete`: all who speak to this supernode have spoken since its start, so that what is
        not known does not exist. `deaf`: its own broker does not serve it, or only just again: it
        calls nobody silent.
        """
        standing = (speaker(self.view, now), self.view.outsiders, self.view.inside)
        if standing != self._standing or (complete and not self._complete):
            self.alerts.review()
        self._standing, self._complete = standing, complete
        unsettled = self.alerts.take_unsettled()
        members = dict.fromkeys(self.view.take_changed(now))
        members.update((scope.of, None) for scope in unsettled if scope.about is About.MEMBER)
        for node in members:
            yield from self._member(node, now)
        for node in self._supernodes():
            yield from self._supernode(node, now, deaf=deaf)
        for scope in unsettled:
            yield from self._others(scope, now)

    def _supernodes(self) -> list[NodeId]:
        apart = {self.view.origin, *self.view.outsiders}
        return [node for node in self.view.supernodes if node not in apart]

    def _member(self, node: NodeId, now: Seconds) -> Iterator[Alert]:
        scope = Scope(About.MEMBER, node)
        if self.view.is_doubted(node) and not (self._complete and self.alerts.concerns(scope)):
            return  # there is nothing to end, and what is not known is not raised
        reporter = responsible_for_member(self.view, node, now)
        if reporter is None:
            self.alerts.withdraw(scope)
            yield from self._ended(scope, now)
        elif reporter != self.view.origin:
            self.alerts.withdraw(scope)
        elif (member := self.view.member(node, now)) is not None:
            yield from self.alerts.report(scope, member_conditions(member), now)

    def _supernode(self, node: NodeId, now: Seconds, *, deaf: bool) -> Iterator[Alert]:
        scope = Scope(About.SUPERNODE, node)
        if responsible_for_supernode(self.view, node, now) == self.view.origin:
            condition = supernode_silent(self.view, node, now, deaf=deaf)
            yield from self.alerts.report(scope, (condition,), now)
        else:
            self.alerts.withdraw(scope)

    def _others(self, scope: Scope, now: Seconds) -> Iterator[Alert]:
        """What no report names any more: of supernodes that are none, and of unknown kinds."""
        is_reported = (
            scope.about is About.MEMBER
            or (scope.about is About.SUPERNODE and scope.of in self._supernodes())
            or (scope.about in OWN and scope.of == self.view.origin)
            or (scope == (About.SUPERNODE, self.view.origin) and bool(self._supernodes()))
        )
        if not is_reported:
            yield from self._ended(scope, now)

    def _ended(self, scope: Scope, now: Seconds) -> Iterator[Alert]:
        """Resolve what nobody reports any more, once it is known that nobody will."""
        for alert in self.alerts.of(scope) if self._complete else ():
            if responsible(self.view, alert, now) == self.view.origin:
                yield self.alerts.close(alert, now)
