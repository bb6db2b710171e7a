"""How much each supernode holds, and whose home it is: kept up to date with each change.

It is derived from the entries alone, so all supernodes have the same, whether they applied every
change or began from a snapshot. Who goes where is decided in `nm_bus.core.ledger.placement`.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

from nm_bus.core.ledger.keys import MEMBERS, SUPERNODES, name
from nm_bus.core.ledger.placement import PlacedMember, Rank, score
from nm_bus.messages import Entry, NodeId


def placed_member(value: Mapping[str, Any] | None) -> PlacedMember | None:
    """A member as its entry says; None for one that has left, or never was."""
    if value is None or value.get("state", "left") == "left":
        return None
    return PlacedMember(value["home"], value["weight"], value["state"] == "maintenance")


def weight_of(value: Mapping[str, Any] | None) -> int:
    """How much a supernode may hold beside the others; 0 for one that is no home of anybody."""
    weight: int = value.get("weight", 1) if value and value.get("role") == "voter" else 0
    return weight


@dataclass(slots=True)
class Loads:
    """What there is at each home. `entries` are those of the state, in which members are found."""

    entries: Mapping[str, Entry]
    supernodes: dict[NodeId, int] = field(default_factory=dict)
    """The weights of those that may be homes."""
    whole: int = 0
    _loads: dict[NodeId, int] = field(default_factory=dict)
    _movable: dict[NodeId, set[str]] = field(default_factory=dict)
    """The keys of the members of each home that may move."""
    _ranks: dict[NodeId, list[Rank]] = field(default_factory=dict)
    """The same, with their keys, in the order in which they would move: of the homes that ever had
    too many, since it takes a look at every member of one."""

    def __post_init__(self) -> None:
        for entry in self.entries.values():
            self.add(entry)

    @property
    def all_have_a_home(self) -> bool:
        """Whether there is a home for everybody, and everybody has one."""
        return bool(self.supernodes) and self._loads.keys() <= self.supernodes.keys()

    def at(self, home: NodeId) -> int:
        """How much a home holds."""
        return self._loads.get(home, 0)

    def least_drawn(self, home: NodeId) -> Iterator[Rank]:
        """Who may move from a supernode, those first who are drawn to it the least."""
        if home not in self._ranks:
            keys = self._movable.get(home, ())
            self._ranks[home] = sorted(self._rank(key, home) for key in keys)
        return ((drawn, name(key)) for drawn, key in self._ranks[home])

    def add(self, entry: Entry) -> None:
        """A key has this entry from now on."""
        if entry.key.startswith(MEMBERS):
            self._add_member(entry)
        elif entry.key.startswith(SUPERNODES):
            self._ranks.clear()
            if weight := weight_of(entry.value):
                self.supernodes[name(entry.key)] = weight

    def drop(self, entry: Entry) -> None:
        """A key has this entry no more."""
        if entry.key.startswith(MEMBERS):
            self._drop_member(entry)
        elif entry.key.startswith(SUPERNODES):
            self._ranks.clear()
            self.supernodes.pop(name(entry.key), None)

    def _add_member(self, entry: Entry) -> None:
        one = placed_member(entry.value)
        if one is None:
            return
        self._weigh(one.home, one.weight)
        if not one.stays:
            self._movable.setdefault(one.home, set()).add(entry.key)
            if one.home in self._ranks:
                insort(self._ranks[one.home], self._rank(entry.key, one.home))

    def _drop_member(self, entry: Entry) -> None:
        one = placed_member(entry.value)
        if one is None:
            return
        self._weigh(one.home, -one.weight)
        if not one.stays:
            self._movable[one.home].discard(entry.key)
            if ranks := self._ranks.get(one.home):
                del ranks[bisect_left(ranks, self._rank(entry.key, one.home))]

    def _weigh(self, home: NodeId, weight: int) -> None:
        self.whole += weight
        load = self._loads.get(home, 0) + weight
        if load:
            self._loads[home] = load
        else:
            del self._loads[home]

    def _rank(self, key: str, home: NodeId) -> Rank:
        return score(name(key), home, self.supernodes[home]), key


class LoadsWithOne:
    """The loads as they are with one member changed: `after`, or with None gone."""

    def __init__(self, kept: Loads, node: NodeId, after: PlacedMember | None) -> None:
        """Look at what is kept, and change nothing of it."""
        self._kept, self._node, self._after = kept, node, after
        self.supernodes = kept.supernodes
        self.loads = {supernode: kept.at(supernode) for supernode in kept.supernodes}
        self.whole = kept.whole
        before = kept.entries.get(MEMBERS + node)
        self._weigh(placed_member(before.value) if before else None, -1)
        self._weigh(after, 1)

    def member(self, node: NodeId) -> PlacedMember:
        """A member, which must be one."""
        entry = self._kept.entries.get(MEMBERS + node)
        one = self._after if node == self._node else placed_member(entry.value if entry else None)
        if one is None:
            raise LookupError(f"{node} is no member")
        return one

    def least_drawn(self, home: NodeId) -> Iterator[Rank]:
        """See Residents."""
        one, node = self._after, self._node
        others = (rank for rank in self._kept.least_drawn(home) if rank[1] != node)
        if one is None or one.home != home or one.stays:
            return others
        own = score(node, home, self.supernodes[home]), node
        return merge(others, [own])

    def _weigh(self, one: PlacedMember | None, sign: int) -> None:
        if one is not None:
            self.whole += sign * one.weight
            if one.home in self.loads:
                self.loads[one.home] += sign * one.weight
