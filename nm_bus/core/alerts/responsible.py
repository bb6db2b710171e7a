"""Which supernode is responsible for what is wrong, by what is known of the federation. Pure."""

from nm_bus.core.alerts.kinds import About, scope_of
from nm_bus.core.view import View
from nm_bus.messages import Alert, NodeId, Seconds


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
