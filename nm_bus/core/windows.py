"""The metrics of all members that one process knows: fed by samples, told by the minute.

`feed` is the hot path and does as little as it can: one slot of one ring a value. What a minute
becomes when it ends is a value for the caller to send; what peers tell is taken over by `absorb`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from nm_bus.catalogue import find, metric_of
from nm_bus.codec import size_of
from nm_bus.core import series as view
from nm_bus.core.late import Late
from nm_bus.core.ring import KEPT, MINUTE, SIZE, Ring
from nm_bus.core.rollup import Tally
from nm_bus.core.sketch import Sketch, read
from nm_bus.messages import Declared, NodeId, Rollup, Rollups, Seconds, Series
from nm_bus.topology import PEER_BYTES

# --- What a series is: its unit and kind, by the catalogue or by what its node declared.

Kinds = Callable[[str], Declared]
"""What a series is, by its name."""


def kinds(declared: Mapping[str, Declared]) -> Kinds:
    """The lookup for one node; the catalogue cannot be overruled, the unknown is a gauge."""
    return partial(_kind, declared)


def _kind(declared: Mapping[str, Declared], series: str) -> Declared:
    name = metric_of(series)
    return find(series) or declared.get(name) or Declared(name, unit="")


HORIZON: Seconds = 86_400.0
"""Samples older than this are dropped: a member's spool keeps no older ones."""

LARGEST = 1e100
"""Larger values, and what is no number, are dropped: their sums could not be told in JSON."""

EVERYBODY = 1_000_000
"""More nodes than one process has."""

AHEAD = 5
"""Minutes by which a peer's clock may be ahead of ours."""

PAGE_BYTES = PEER_BYTES // 2
"""How large a page of rollups may be. A page that the broker refuses would take others with it."""

ROLLUP_BYTES = 180
"""More than a rollup's numbers can take when they are written, its name and its sketch apart."""

PAGE_SERIES = 1_000
"""How many series of one node stand on a page: the bound of the schema."""


@dataclass(slots=True)
class Dropped:
    """How many values were not taken, and why. Counted since the start."""

    old: int = 0
    crowded: int = 0
    unreadable: int = 0
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """A minute that ended, or changed after it ended: the body of a Rollups message.

    Whole, never a difference. A minute with many series comes in several pages.
    """

    start: Seconds
    nodes: dict[NodeId, dict[str, Rollup]]
    length: Seconds = MINUTE


PART = 10
"""Minutes that are stored together, so that a sample does not cost writing the whole hour."""

PARTS = KEPT // PART + 1
"""In how many parts an hour may lie: one at each end of it is cut."""


class KeptRing(msgspec.Struct, gc=False):
    """Some minutes of a series as they are stored; `first` is the number of the first."""

    declared: Declared
    first: int
    slots: bytes
    sketches: dict[int, Sketch] = {}


class KeptWindow(msgspec.Struct):
    """Some minutes of one node as they are stored, and which of them were not told yet."""

    rings: dict[str, KeptRing]
    untold: list[int] = []


@dataclass(slots=True)
class Windows:
    """The last hour of every series of every node.

    `grace` is how long after its end a minute waits for samples that are under way.
    `per_node` and `most` bound the series of a node and of all nodes; more are dropped.
    """

    grace: Seconds = 5.0
    per_node: int = 500
    most: int = 100_000
    dropped: Dropped = field(default_factory=Dropped)
    _nodes: dict[NodeId, dict[str, Ring]] = field(default_factory=dict)
    _untold: dict[int, set[NodeId]] = field(default_factory=dict)
    _unstored: dict[NodeId, set[int]] = field(default_factory=dict)
    _late: Late = field(default_factory=Late)
    _held: int = 0

    def feed(
        self, node: NodeId, values: Mapping[str, float], at: Seconds, now: Seconds, kinds: Kinds
    ) -> None:
        """Count the values that a node measured at the moment `at`; one in the future is now."""
        at = min(at, now)
        minute = int(at // MINUTE)
        if minute <= now // MINUTE - KEPT:
            self._feed_late(node, values, at, now, kinds)
            return
        offset = int((at - minute * MINUTE) * 1000)
        rings = self._nodes.get(node) or self._nodes.setdefault(node, {})
        for name, value in values.items():
            if not -LARGEST < value < LARGEST:
                self.dropped.unreadable += 1
                continue
            ring = rings.get(name) or self._begin(rings, name, minute, kinds)
            if ring is None:
                self.dropped.crowded += 1
            elif ring.newest == minute or ring.reach(minute):
                ring.add(minute, offset, value)
            else:
                self.dropped.old += 1
        self._untold.setdefault(minute, set()).add(node)
        self._unstored.setdefault(node, set()).add(minute // PART)

    def declare(self, node: NodeId, kinds: Kinds) -> None:
        """A node's declarations changed: look up again what its series are."""
        for name, ring in self._nodes.get(node, {}).items():
            ring.declare(kinds(name))

    def close(self, now: Seconds, most: int = EVERYBODY) -> list[Closed]:
        """The minutes that ended, or changed since they were told; the oldest first.

        Of each minute at most `most` nodes are told, the others by the next calls: so that no call
        takes long. Of a node a minute is told as a whole, so a receiver replaces it by node,
        series and start.
        """
        ended = sorted(m for m in self._untold if (m + 1) * MINUTE + self.grace <= now)
        late = self._late.settled(now - self.grace)
        pages = list(_pages([*late, *(found for m in ended for found in self._told(m, most))]))
        if ended and ended[-1] not in self._untold:
            # forget the series, and then the nodes, of which nothing came for an hour.
            oldest = int(now // MINUTE) - KEPT
            for node, rings in list(self._nodes.items()):
                gone = [name for name, ring in rings.items() if ring.newest <= oldest]
                for name in gone:
                    del rings[name]
                self._held -= len(gone)
                if not rings:
                    self.forget(node)
                elif node in self._unstored:
                    self._unstored[node] -= {p for p in self._unstored[node] if p < oldest // PART}
        return pages

    def absorb(self, rollups: Rollups, now: Seconds, kinds: Kinds) -> None:
        """Take over the minutes that another process told; longer windows follow of themselves.

        Repeated and late messages do no harm: the fuller of two versions of a minute is kept.
        Minutes older than an hour, which nobody keeps, pass by.
        """
        minute, this = round(rollups.start / MINUTE), int(now // MINUTE)
        if minute > this + AHEAD:
            self.dropped.ahead += 1
        elif minute > this - KEPT and rollups.length == MINUTE:
            for node, told in rollups.nodes.items():
                rings = self._nodes.setdefault(node, {})
                for name, rollup in told.items():
                    ring = rings.get(name) or self._begin(rings, name, minute, kinds)
                    if ring is None:
                        self.dropped.crowded += 1
                    elif ring.reach(minute):
                        ring.put(minute, _tally(minute, rollup), read(rollup.sketch))
                self._unstored.setdefault(node, set()).add(minute // PART)

    def series(self, node: NodeId, name: str, now: Seconds) -> Series | None:
        """What is known of one series, or None. A window's start and `at` tell how fresh it is."""
        ring = self._nodes.get(node, {}).get(name)
        return None if ring is None else view.shown(ring, now)

    def node(self, node: NodeId, now: Seconds) -> dict[str, Series]:
        """All series of a node of which something came in the last hour, by name."""
        shown = {name: view.shown(ring, now) for name, ring in self._nodes.get(node, {}).items()}
        return {name: shown[name] for name in sorted(shown) if shown[name].hour is not None}

    def nodes(self) -> Iterable[NodeId]:
        """The nodes of which anything is known."""
        return self._nodes.keys()

    def forget(self, node: NodeId) -> None:
        """Drop all of a node."""
        self._held -= len(self._nodes.pop(node, {}))
        self._unstored.pop(node, None)
        self._late.forget(node)
        for nodes in self._untold.values():
            nodes.discard(node)

    def dump_changes(self, node: NodeId) -> dict[int, KeptWindow]:
        """The parts of a node's hour that changed since they were dumped, each for `load`.

        The key is below PARTS. A later part with the same key takes the place of the earlier one,
        which is older than an hour by then: so a node never has more rows than that.
        """
        parts = sorted(self._unstored.pop(node, ()))
        return {
            part % PARTS: self._kept(node, part * PART, part * PART + PART - 1) for part in parts
        }

    def load(self, node: NodeId, kept: KeptWindow, now: Seconds) -> None:
        """Take up again a part that `dump_changes` gave; all of them in any order.

        What is too old, or of another layout, is left out.
        """
        this = int(now // MINUTE)
        for name, ring in kept.rings.items():
            last = ring.first + len(ring.slots) // SIZE - 1
            if len(ring.slots) % SIZE == 0 and this - KEPT < last <= this + AHEAD:
                self._restore(node, name, ring, last)
        for minute in kept.untold:
            self._untold.setdefault(minute, set()).add(node)

    def _begin(self, rings: dict[str, Ring], name: str, minute: int, kinds: Kinds) -> Ring | None:
        if len(rings) >= self.per_node or self._held >= self.most:
            return None
        self._held += 1
        ring = rings[name] = Ring(kinds(name), minute)
        return ring

    def _feed_late(
        self, node: NodeId, values: Mapping[str, float], at: Seconds, now: Seconds, kinds: Kinds
    ) -> None:
        for name, value in values.items():
            if not -LARGEST < value < LARGEST:
                self.dropped.unreadable += 1
            elif at < now - HORIZON:
                self.dropped.old += 1
            elif not self._late.add(node, name, value, at, now, quantiles=kinds(name).quantiles):
                self.dropped.crowded += 1

    def _told(self, minute: int, most: int) -> Iterator[tuple[int, NodeId, str, Rollup]]:
        waiting = sorted(self._untold.pop(minute))
        if len(waiting) > most:
            self._untold[minute] = set(waiting[most:])
        for node in waiting[:most]:
            for name, ring in self._nodes.get(node, {}).items():
                rollup = view.told(ring, minute)
                if rollup is not None:
                    yield minute, node, name, rollup

    def _kept(self, node: NodeId, first: int, last: int) -> KeptWindow:
        rings = {}
        for name, ring in self._nodes.get(node, {}).items():
            begins, slots = ring.kept(first, last)
            sketches = {m: s for m, s in (ring.sketches or {}).items() if first <= m <= last}
            if any(slots):
                rings[name] = KeptRing(ring.declared, begins, slots, sketches)
        untold = [m for m, nodes in self._untold.items() if first <= m <= last and node in nodes]
        return KeptWindow(rings, untold)

    def _restore(self, node: NodeId, name: str, kept: KeptRing, last: int) -> None:
        rings = self._nodes.setdefault(node, {})
        ring = rings.get(name) or self._begin(rings, name, last, lambda _: kept.declared)
        if ring is not None:
            ring.restore(kept.first, kept.slots)
            if kept.sketches:
                ring.sketches = (ring.sketches or {}) | kept.sketches


def _tally(minute: int, told: Rollup) -> Tally:
    at = minute * MINUTE + min(max(told.at, 0.0), MINUTE - 0.001)
    count = min(max(told.count, 1), 2**32 - 1)
    return Tally(count, at, told.total, told.low, told.high, told.last)


def _pages(found: Iterable[tuple[int, NodeId, str, Rollup]]) -> Iterator[Closed]:
    """Group rollups by minute, in pages of a bounded size."""
    page, size = None, 0
    for minute, node, name, rollup in found:
        # how many bytes a rollup takes on a page at most: a name may have hundreds, of any
        # letters.
        sketch = 0 if rollup.sketch is None else size_of(rollup.sketch)
        more = len(node) + size_of(name) + ROLLUP_BYTES + sketch
        if (
            page is None
            or page.start != minute * MINUTE
            or (size + more > PAGE_BYTES or len(page.nodes.get(node, ())) >= PAGE_SERIES)
        ):
            if page is not None:
                yield page
            page, size = Closed(minute * MINUTE, {}), 0
        page.nodes.setdefault(node, {})[name] = rollup
        size += more
    if page is not None:
        yield page
