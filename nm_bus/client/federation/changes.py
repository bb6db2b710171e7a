"""A whole picture of the federation, and then what changes in it.

Supernodes tell the state, not its changes: so it is asked for again and again, and compared here.
What only counts on (ages, sequence numbers, uptimes) is no change.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from nm_bus.client.asking import MAY_PASS
from nm_bus.client.carrier import Quiet
from nm_bus.client.federation.picture import Picture
from nm_bus.messages import (
    Alert,
    LinkState,
    MemberView,
    NodeId,
    Seconds,
    SupernodeView,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PictureChange:
    """What is new or different in `picture`, and what is no more."""

    picture: Picture
    members: tuple[MemberView, ...] = ()
    supernodes: tuple[SupernodeView, ...] = ()
    links: tuple[LinkState, ...] = ()
    alerts: tuple[Alert, ...] = ()
    members_gone: tuple[NodeId, ...] = ()
    supernodes_gone: tuple[NodeId, ...] = ()
    links_gone: tuple[str, ...] = ()
    """Each as `<source> <destination> <kind>`."""
    alerts_gone: tuple[str, ...] = ()
    """The ids of the alerts whose condition holds no more."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No supernode answered, with the reason: what was known is getting old."""

    reason: str


def difference(before: Picture, after: Picture) -> PictureChange | None:
    """What changed between two pictures; None when nothing did."""
    members, members_gone = _changed(before.members, after.members, _node, _steady_member)
    supernodes, supernodes_gone = _changed(
        before.supernodes, after.supernodes, lambda view: view.node, _steady_supernode
    )
    links, links_gone = _changed(before.links, after.links, _link, _steady_link)
    alerts, alerts_gone = _changed(
        before.alerts, after.alerts, lambda alert: alert.alert, lambda alert: alert
    )
    change = PictureChange(
        after,
        members,
        supernodes,
        links,
        alerts,
        members_gone,
        supernodes_gone,
        links_gone,
        alerts_gone,
    )
    return None if change == PictureChange(after) else change


def _changed(
    before: Iterable[T],
    after: Iterable[T],
    key: Callable[[T], str],
    steady: Callable[[T], object],
) -> tuple[tuple[T, ...], tuple[str, ...]]:
    known = {key(item): steady(item) for item in before}
    changed = tuple(item for item in after if known.get(key(item)) != steady(item))
    gone = known.keys() - {key(item) for item in after}
    return changed, tuple(sorted(gone))


def _node(view: MemberView) -> str:
    return view.state.node


def _link(link: LinkState) -> str:
    return f"{link.source} {link.destination} {link.kind}"


def _steady_member(view: MemberView) -> MemberView:
    """A member without what counts on by itself."""
    state = replace(
        view.state,
        heard=None,
        changed=0.0,
        sequence=0,
        sampled=0,
        unsampled=0,
        uptime=0.0,
        skew=0.0,
    )
    return replace(view, told=0.0, state=state)


def _steady_link(link: LinkState) -> LinkState:
    return replace(link, delay=None, backlog=0, moved=0, heard=None)


def _steady_supernode(view: SupernodeView) -> tuple[object, ...]:
    """How a supernode, its broker, its pipes and its ledger are, without figures."""
    state = view.state
    broker = (state.broker.state, state.broker.reason, state.broker.version) if state else None
    pipes = tuple((pipe.path, pipe.proven, pipe.reason) for pipe in view.pipes)
    ledger = state.ledger if state else None
    place = (
        (ledger.epoch, ledger.revision, ledger.head, ledger.state, ledger.reason) if ledger else ()
    )
    votes = (ledger.incarnation, ledger.voters, ledger.standbys) if ledger else ()
    return view.health, view.reason, broker, pipes, place, votes


PictureItem = Picture | PictureChange | Unanswered | Quiet


class PictureChanges(Iterator[PictureItem]):
    """Gives the whole Picture first, then a PictureChange whenever there is one, for ever.

    Unanswered comes once when no supernode answers, and a PictureChange once one does again. It
    looks every `every` seconds, and gives Quiet when a look showed nothing new. One thread at a
    time may use it.
    """

    def __init__(self, look: Callable[[], Picture], every: Seconds) -> None:
        self._look, self._every = look, every
        self._due: Seconds = 0.0
        self._picture: Picture | None = None
        self._silent = False

    def __iter__(self) -> "PictureChanges":
        return self

    def __next__(self) -> PictureItem:
        return self.step(self._every) or Quiet()

    def __enter__(self) -> "PictureChanges":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""

    def sockets(self) -> list[int]:
        """Nothing becomes readable: the next look is due at its time."""
        return []

    def step(self, wait: Seconds) -> PictureItem | None:
        """The next item; None when there is none within `wait` seconds."""
        left = self._due - time.monotonic()
        time.sleep(max(0.0, min(left, wait)))
        if left > wait:
            return None
        self._due = time.monotonic() + self._every
        try:
            picture = self._look()
            before, self._picture = self._picture, picture
            again, self._silent = self._silent, False
            if before is None:
                return picture
            return difference(before, picture) or (PictureChange(picture) if again else None)
        except MAY_PASS as error:
            told, self._silent = self._silent, True
            return None if told else Unanswered(str(error))
