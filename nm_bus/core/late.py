"""Samples that come more than an hour late, out of a member's spool.

They are too old for a ring, so they are gathered by minute, told once when no more of them have
come for a while, and forgotten. A limit on the minutes gathered bounds them.
"""

from dataclasses import dataclass, field

from nm_bus.core.ring import MINUTE
from nm_bus.core.rollup import Tally, merge, rollup, sample
from nm_bus.core.sketch import Sketch
from nm_bus.messages import NodeId, Rollup, Seconds

MOST = 20_000
"""How many minutes of series are gathered at once: about 10 MB."""


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
    _minutes: dict[tuple[int, NodeId, str], Gathered] = field(default_factory=dict)

    def add(
        self, node: NodeId, name: str, value: float, at: Seconds, now: Seconds, *, quantiles: bool
    ) -> bool:
        """Count a sample measured at `at`. False when there is no room for another minute."""
        key = int(at // MINUTE), node, name
        gathered, one = self._minutes.get(key), sample(value, at)
        if gathered is None:
            if len(self._minutes) >= self.most:
                return False
            gathered = self._minutes[key] = Gathered(one, Sketch() if quantiles else None, now)
        else:
            gathered.tally, gathered.came = merge(gathered.tally, one), now
        if gathered.sketch is not None:
            gathered.sketch.add(value)
        return True

    def settled(self, before: Seconds) -> list[tuple[int, NodeId, str, Rollup]]:
        """Hand over, in order of time, the minutes to which nothing came since `before`.

        Counters have no rate here: the samples around them are not kept.
        """
        ended = sorted(key for key, minute in self._minutes.items() if minute.came <= before)
        return [(*key, _told(key[0], self._minutes.pop(key))) for key in ended]

    def forget(self, node: NodeId) -> None:
        """Drop what was gathered of a node."""
        self._minutes = {key: g for key, g in self._minutes.items() if key[1] != node}


def _told(minute: int, gathered: Gathered) -> Rollup:
    sketch = gathered.sketch.told() if gathered.sketch else None
    return rollup(gathered.tally, minute * MINUTE, sketch=sketch)
