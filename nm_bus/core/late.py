"""Samples that come more than an hour late, out of a member's spool.

They are too old for a ring, so they are gathered by minute, reported once, when no more of them
have come for a while, and forgotten. What is gathered is bounded, for each member and for all, so
that one member's spool takes no room from another's.
"""

from dataclasses import dataclass, field

from nm_bus.core.ring import MINUTE
from nm_bus.core.rollup import Tally, merge, rollup, sample
from nm_bus.core.sketch import Sketch
from nm_bus.messages import NodeId, Rollup, Seconds

MOST = 20_000
"""How many minutes of series are gathered at once: about 10 MB."""

MOST_OF_A_NODE = MOST // 2
"""How many of them are of one member."""

SERIES = 500
"""How many series of one member's minute are gathered: as many as it may have in the last hour."""


@dataclass(slots=True)
class Gathered:
    """One minute of one series, and when the last of its samples came."""

    tally: Tally
    sketch: Sketch | None
    came: Seconds


@dataclass(slots=True)
class Late:
    """The minutes of all members that are being gathered."""

    most: int = MOST
    most_of_a_node: int = MOST_OF_A_NODE
    _minutes: dict[NodeId, dict[int, dict[str, Gathered]]] = field(default_factory=dict)
    _held: dict[NodeId, int] = field(default_factory=dict)
    _all: int = 0

    def add(
        self, node: NodeId, name: str, value: float, at: Seconds, now: Seconds, *, quantiles: bool
    ) -> bool:
        """Count a sample measured at `at`. False when there is no room for another minute."""
        minutes = self._minutes.get(node, {})
        gathered = minutes.get(int(at // MINUTE), {}).get(name)
        one = sample(value, at)
        if gathered is None:
            if not self._has_room(node, int(at // MINUTE)):
                return False
            gathered = Gathered(one, Sketch() if quantiles else None, now)
            self._begin(node, int(at // MINUTE), name, gathered)
        else:
            gathered.tally, gathered.came = merge(gathered.tally, one), now
        if gathered.sketch is not None:
            gathered.sketch.add(value)
        return True

    def settled(self, before: Seconds) -> list[tuple[int, NodeId, str, Rollup]]:
        """Hand over, in order of time, the minutes to which nothing came since `before`.

        Counters have no rate here: the samples around them are not kept.
        """
        ended = sorted(
            (minute, node, name)
            for node, minutes in self._minutes.items()
            for minute, series in minutes.items()
            for name, gathered in series.items()
            if gathered.came <= before
        )
        return [(*key, _told(key[0], self._pop(*key))) for key in ended]

    def forget(self, node: NodeId) -> None:
        """Drop what was gathered of a node."""
        self._minutes.pop(node, None)
        self._all -= self._held.pop(node, 0)

    def _has_room(self, node: NodeId, minute: int) -> bool:
        series = self._minutes.get(node, {}).get(minute, {})
        held = self._held.get(node, 0)
        return self._all < self.most and held < self.most_of_a_node and len(series) < SERIES

    def _begin(self, node: NodeId, minute: int, name: str, gathered: Gathered) -> None:
        self._minutes.setdefault(node, {}).setdefault(minute, {})[name] = gathered
        self._held[node] = self._held.get(node, 0) + 1
        self._all += 1

    def _pop(self, minute: int, node: NodeId, name: str) -> Gathered:
        minutes = self._minutes[node]
        gathered = minutes[minute].pop(name)
        self._held[node] -= 1
        self._all -= 1
        if not minutes[minute]:
            del minutes[minute]
        if not minutes:
            del self._minutes[node], self._held[node]
        return gathered


def _told(minute: int, gathered: Gathered) -> Rollup:
    sketch = gathered.sketch.told() if gathered.sketch else None
    return rollup(gathered.tally, minute * MINUTE, sketch=sketch)
