"""Which supernode is a member's home: rendezvous hashing with weights and a bounded load.

Thaler and Ravishankar, 1998, and Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with
Bounded Loads", 2018. A home is kept unless there is a reason to move, so that little moves. Whole
numbers only: a logarithm may differ in its last digit from one machine to another.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from typing import NamedTuple, Protocol

from nm_bus.messages import NodeId

FACTOR = (5, 4)
"""No supernode holds over 5/4 of its share, rounded up to a whole member."""


class PlacedMember(NamedTuple):
    """A member as it is placed. `stays`: it moves only when its home is no home any more."""

    home: NodeId = ""
    weight: int = 1
    stays: bool = False


Members = Mapping[NodeId, PlacedMember]
Weights = Mapping[NodeId, int]
"""The weights of the supernodes, which are whole and at least 1."""

Rank = tuple[bytes, NodeId]
"""How much a member is drawn to a home, and which member it is."""


class Residents(Protocol):
    """Where the members are before any of them moves; there is at least one supernode."""

    @property
    def supernodes(self) -> Weights:
        """Those that may be homes."""

    @property
    def loads(self) -> Mapping[NodeId, int]:
        """How much each of the supernodes holds."""

    @property
    def whole(self) -> int:
        """How much there is in all, with those who have no home."""

    def member(self, node: NodeId) -> PlacedMember:
        """A member."""

    def least_drawn(self, home: NodeId) -> Iterable[Rank]:
        """Who may move from a home, in the order in which they do."""


def moves(members: Members, supernodes: Weights, newcomer: NodeId = "") -> dict[NodeId, NodeId]:
    """Who gets another home, and which, in the order of names. Looks at every member.

    Members whose home is gone move, a newcomer takes its share of those who rank it above their
    home, and who is too many at a supernode goes on. With no supernodes nobody has a home.
    """
    if not supernodes:
        return {node: "" for node in sorted(members) if members[node].home}
    moving = _Moving(_Looked(members, supernodes))
    if newcomer in supernodes:
        moving.attract(newcomer, members)
    moving.shelter(node for node in sorted(members) if members[node].home not in supernodes)
    moving.relieve()
    return moving.moved()


def moves_of_one(
    placed: Residents, node: NodeId, *, is_member: bool = True
) -> dict[NodeId, NodeId]:
    """The same as `moves` after one member came, changed or went, where all others have a home.

    Looks at the supernodes and at those who move, and at no other member but a few that are too
    heavy to move: who is skipped needs more room than there is anywhere, which is at least a
    quarter of the mean load, so that there are fewer than four such members a supernode.
    """
    moving = _Moving(placed)
    if is_member and placed.member(node).home not in placed.supernodes:
        moving.shelter([node])
    moving.relieve()
    return moving.moved()


def score(member: NodeId, supernode: NodeId, weight: int) -> bytes:
    """How much a member is drawn to a supernode: the highest of as many draws as it has weight.

    So a supernode is the highest of all with a probability that is exactly its share.
    """
    return max(_draw(f"{member} {supernode} {number}") for number in range(weight))


def bound(load: int, weight: int, weights: int) -> int:
    """The most that a supernode may hold, of a whole load and by its part of all weights."""
    times, parts = FACTOR
    return -(-times * load * weight // (parts * weights))


def _draw(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@dataclass(slots=True)
class _Looked:
    """Members that are looked at one by one."""

    members: Members
    supernodes: Weights
    loads: dict[NodeId, int] = field(init=False)
    whole: int = 0

    def __post_init__(self) -> None:
        self.loads = dict.fromkeys(self.supernodes, 0)
        for one in self.members.values():
            self.whole += one.weight
            if one.home in self.loads:
                self.loads[one.home] += one.weight

    def member(self, node: NodeId) -> PlacedMember:
        return self.members[node]

    def least_drawn(self, home: NodeId) -> list[Rank]:
        weight = self.supernodes[home]
        return sorted(
            (score(node, home, weight), node)
            for node, one in self.members.items()
            if one.home == home and not one.stays
        )


@dataclass(slots=True)
class _Moving:
    """The homes while they are decided."""

    placed: Residents
    loads: dict[NodeId, int] = field(init=False)
    bounds: dict[NodeId, int] = field(init=False)
    homes: dict[NodeId, NodeId] = field(default_factory=dict)
    """Of those who have moved."""

    def __post_init__(self) -> None:
        placed, weights = self.placed, sum(self.placed.supernodes.values())
        self.loads = dict(placed.loads)
        self.bounds = {s: bound(placed.whole, w, weights) for s, w in placed.supernodes.items()}

    def moved(self) -> dict[NodeId, NodeId]:
        """Who has another home now, in the order of names."""
        homes = ((node, self.homes[node]) for node in sorted(self.homes))
        return {node: home for node, home in homes if home != self.placed.member(node).home}

    def attract(self, newcomer: NodeId, members: Members) -> None:
        """Give a newcomer its share: who is drawn to it most comes first."""
        supernodes, whole = self.placed.supernodes, self.placed.whole
        share = -(-whole * supernodes[newcomer] // sum(supernodes.values()))
        movable = (
            (node, one.home)
            for node, one in members.items()
            if one.home in supernodes and not one.stays
        )
        drawn = [
            (drawn, node)
            for node, home in movable
            if (drawn := self._score(node, newcomer)) > self._score(node, home)
        ]
        for _, node in sorted(drawn, reverse=True):
            if self.loads[newcomer] + members[node].weight <= share:
                self._move(node, newcomer)

    def shelter(self, nodes: Iterable[NodeId]) -> None:
        """Give a home to these, who have none, in this order."""
        for node in nodes:
            self._move(node, self._best(node) or self._emptiest())

    def relieve(self) -> None:
        """Where there are too many, those who are drawn to it the least go where there is room."""
        for home in sorted(self.loads):
            if self._room(home) < 0:
                self._relieve(home)

    def _relieve(self, home: NodeId) -> None:
        for _, node in self._there(home):
            other = self._best(node)
            if other:
                self._move(node, other)
            if self._room(home) >= 0:
                return

    def _there(self, home: NodeId) -> Iterator[Rank]:
        """Who may move from a home, those who came in this turn among the others."""
        came = [node for node, to in self.homes.items() if to == home]
        ranks = (self._rank(node, home) for node in came if not self.placed.member(node).stays)
        there = merge(self.placed.least_drawn(home), sorted(ranks))
        return (rank for rank in there if self.homes.get(rank[1], home) == home)

    def _best(self, node: NodeId) -> NodeId:
        """The supernode with room that the member is drawn to most; none has room: no name."""
        weight = self.placed.member(node).weight
        room = [s for s in self.loads if weight <= self._room(s)]
        return max(room, key=lambda s: (self._score(node, s), s), default="")

    def _emptiest(self) -> NodeId:
        """Where the least is too much, when a member is too heavy for every bound."""
        return min(self.loads, key=lambda s: (-self._room(s), -self.placed.supernodes[s], s))

    def _move(self, node: NodeId, home: NodeId) -> None:
        one = self.placed.member(node)
        before = self.homes.get(node, one.home)
        if before in self.loads:
            self.loads[before] -= one.weight
        self.homes[node] = home
        self.loads[home] += one.weight

    def _room(self, supernode: NodeId) -> int:
        """How much more a supernode may hold; below 0 it holds too much."""
        return self.bounds[supernode] - self.loads[supernode]

    def _rank(self, node: NodeId, supernode: NodeId) -> Rank:
        return self._score(node, supernode), node

    def _score(self, node: NodeId, supernode: NodeId) -> bytes:
        return score(node, supernode, self.placed.supernodes[supernode])
