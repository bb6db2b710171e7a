"""What an overview says of the ledger: how far supernodes and members are, and whether they agree.

Pure: it reads a picture that was fetched. What is to be done about it is not decided here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nm_bus.client.federation.picture import Picture
from nm_bus.core.ledger.voters import node_of, voter_id
from nm_bus.messages import Health, MemberView, NodeId, Standing, VoterId

NONE, RUNNING = "none", "running"
SHORT = 8
"""So many letters of a head are shown; who compares all of them uses `nm-bus fsck`."""


def standings(picture: Picture) -> dict[NodeId, Standing]:
    """Each supernode's ledger by its own last word; those without one are left out."""
    told = {view.node: view.state and view.state.ledger for view in picture.supernodes}
    return {node: standing for node, standing in told.items() if standing}


def newest(picture: Picture) -> Standing | None:
    """The ledger that is furthest; None when no supernode has one."""
    return max(standings(picture).values(), key=_place, default=None)


def _place(standing: Standing) -> tuple[int, int]:
    return standing.epoch, standing.revision


@dataclass(frozen=True, slots=True)
class Votes:
    """Who may vote by the newest ledger that is known, and how many of them can now."""

    voters: frozenset[VoterId]
    standbys: frozenset[VoterId]
    able: int

    @property
    def needed(self) -> int:
        """So many must vote for a change to be agreed."""
        return len(self.voters) // 2 + 1

    def role(self, node: NodeId) -> str:
        """`voter`, `standby`, or `none`: the supernode was removed, or not admitted yet."""
        for role, some in (("voter", self.voters), ("standby", self.standbys)):
            if node in map(node_of, some):
                return role
        return "none"


def votes(picture: Picture) -> Votes | None:
    """How it stands with the votes; None when no supernode has a ledger."""
    furthest = newest(picture)
    if furthest is None:
        return None
    alive = {view.node for view in picture.supernodes if view.health is Health.ALIVE}
    running = {
        voter_id(node, standing.incarnation)
        for node, standing in standings(picture).items()
        if standing.state == RUNNING and node in alive
    }
    voters = frozenset(furthest.voters)
    return Votes(voters, frozenset(furthest.standbys), len(voters & running))


def forks(picture: Picture) -> Iterator[tuple[Standing, Standing]]:
    """Supernodes that have different heads for one revision: each with the first of them."""
    first: dict[tuple[int, int], Standing] = {}
    for standing in standings(picture).values():
        other = first.setdefault(_place(standing), standing)
        if other.head != standing.head:
            yield other, standing


def members_behind(picture: Picture, epoch: int, revision: int) -> list[MemberView]:
    """The members that are heard, follow the ledger, and have less than a revision of it."""
    return [
        view
        for view in picture.members
        if view.state.running is not None
        and view.state.health is Health.ALIVE
        and (view.state.running.epoch, view.state.running.revision) < (epoch, revision)
    ]


def members_in_trouble(picture: Picture) -> dict[NodeId, dict[str, str]]:
    """What members tell to have gone wrong with documents, or with following the ledger."""
    return {
        view.state.node: view.state.running.troubles
        for view in picture.members
        if view.state.running is not None and view.state.running.troubles
    }


def in_words(standing: Standing | None) -> str:
    """`812 3fa95c12`; a state other than running comes first, with its reason."""
    if standing is None:
        return NONE
    place = f"{standing.revision} {standing.head[:SHORT]}".rstrip()
    if standing.state == RUNNING:
        return place
    if standing.reason:
        return f"{standing.state} at {place}: {standing.reason}"
    return f"{standing.state} at {place}"


def as_data(picture: Picture) -> dict[str, Any] | None:
    """The ledger as the whole federation has it; None when no supernode has one."""
    furthest = newest(picture)
    if furthest is None:
        return None
    late = members_behind(picture, furthest.epoch, furthest.revision)
    return {
        "epoch": furthest.epoch,
        "revision": furthest.revision,
        "head": furthest.head,
        "supernodes": {
            view.node: _data(view.state.ledger if view.state else None)
            for view in picture.supernodes
        },
        "votes": _votes(picture),
        "forked": [[one.node, other.node] for one, other in forks(picture)],
        "members_behind": [view.state.node for view in late],
        "members_in_trouble": members_in_trouble(picture),
    }


def _votes(picture: Picture) -> dict[str, Any] | None:
    found = votes(picture)
    if found is None:
        return None
    roles = {view.node: found.role(view.node) for view in picture.supernodes}
    return {
        "voters": len(found.voters),
        "able": found.able,
        "needed": found.needed,
        "roles": roles,
    }


def _data(standing: Standing | None) -> dict[str, Any]:
    if standing is None:
        return {"state": NONE}
    told = ("state", "reason", "epoch", "revision", "head", "pending")
    return {name: getattr(standing, name) for name in told}
