"""Which supernode is a member's home: rendezvous hashing with weights and a bounded load.

Thaler and Ravishankar, 1998, and Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with
Bounded Loads", 2018. A home is kept unless there is a reason to move, so that little moves. Whole
numbers only: a logarithm may differ in its last digit from one machine to another.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

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


def moves(members: Members, supernodes: Weights, newcomer: NodeId = "") -> dict[NodeId, NodeId]:
    """Who gets another home, and which, in the order of names.

    Members whose home is gone move, a newcomer takes its share of those who rank it above their
    home, and who is too many at a supernode goes on. With no supernodes nobody has a home.
    """
    if not supernodes:
        return {node: "" for node in sorted(members) if members[node].home}
    moving = _Moving(members, supernodes)
    if newcomer in supernodes:
        moving.attract(newcomer)
    moving.shelter()
    moving.relieve()
    return {
        node: moving.homes[node]
        for node in sorted(moving.moved)
        if moving.homes[node] != members[node].home
    }


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
class _Moving:
    """The homes while they are decided."""

    members: Members
    supernodes: Weights
    homes: dict[NodeId, NodeId] = field(init=False)
    loads: dict[NodeId, int] = field(init=False)
    whole: int = field(init=False)
    weights: int = field(init=False)
    moved: set[NodeId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.homes = {
            node: one.home if one.home in self.supernodes else ""
            for node, one in self.members.items()
        }
        self.loads = dict.fromkeys(self.supernodes, 0)
        for node, home in self.homes.items():
            if home:
                self.loads[home] += self.members[node].weight
        self.whole = sum(one.weight for one in self.members.values())
        self.weights = sum(self.supernodes.values())

    def attract(self, newcomer: NodeId) -> None:
        """Give a newcomer its share: who is drawn to it most comes first."""
        share = -(-self.whole * self.supernodes[newcomer] // self.weights)
        drawn = [
            node
            for node in self._movable(self.homes)
            if self.homes[node] != newcomer and self._prefers(node, newcomer)
        ]
        for node in self._drawn_to(newcomer, drawn):
            if self.loads[newcomer] + self.members[node].weight <= share:
                self._move(node, newcomer)

    def shelter(self) -> None:
        """Give a home to those who have none, in the order of their names."""
        for node in sorted(node for node, home in self.homes.items() if not home):
            self._move(node, self._best(node) or self._emptiest(node))

    def relieve(self) -> None:
        """Where there are too many, those who are drawn to it the least go where there is room."""
        for home in sorted(self.supernodes):
            over = self.loads[home] - self._bound(home)
            if over <= 0:
                continue
            there = [node for node in self._movable(self.homes) if self.homes[node] == home]
            for node in reversed(self._drawn_to(home, there)):
                other = self._best(node)
                if over > 0 and other:
                    self._move(node, other)
                    over -= self.members[node].weight

    def _movable(self, nodes: Iterable[NodeId]) -> Iterator[NodeId]:
        return (node for node in nodes if self.homes[node] and not self.members[node].stays)

    def _prefers(self, node: NodeId, other: NodeId) -> bool:
        return self._score(node, other) > self._score(node, self.homes[node])

    def _drawn_to(self, home: NodeId, nodes: Iterable[NodeId]) -> list[NodeId]:
        return sorted(nodes, key=lambda node: (self._score(node, home), node), reverse=True)

    def _best(self, node: NodeId) -> NodeId:
        """The supernode with room that the member is drawn to most; none has room: no name."""
        weight = self.members[node].weight
        room = [s for s in self.supernodes if self.loads[s] + weight <= self._bound(s)]
        return max(room, key=lambda s: (self._score(node, s), s), default="")

    def _emptiest(self, node: NodeId) -> NodeId:
        """Where the least is too much, when a member is too heavy for every bound."""
        return min(
            self.supernodes,
            key=lambda s: (self.loads[s] - self._bound(s), -self.supernodes[s], s),
        )

    def _move(self, node: NodeId, home: NodeId) -> None:
        weight, before = self.members[node].weight, self.homes[node]
        if before:
            self.loads[before] -= weight
        self.moved.add(node)
        self.homes[node] = home
        self.loads[home] += weight

    def _bound(self, supernode: NodeId) -> int:
        return bound(self.whole, self.supernodes[supernode], self.weights)

    def _score(self, node: NodeId, supernode: NodeId) -> bytes:
        return score(node, supernode, self.supernodes[supernode])
