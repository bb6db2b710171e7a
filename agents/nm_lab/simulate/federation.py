"""Supernodes in virtual time: links that delay, fail and remember, nodes that die and return.

Two kinds of links: `lossy` ones lose, repeat and reorder; the others keep all in order, as queues
between brokers do, and deliver what waited during an outage as one stale burst.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from nm_bus.core.ledger.batches import FAR_AHEAD
from nm_bus.core.ledger.effects import KeepBatch, KeepChange, Pace
from nm_bus.core.ledger.hybrid import HybridClock
from nm_bus.messages import Change, ChangeId, Micros, Seconds, VoterId
from nm_bus.testing.clock import VirtualClock
from nm_lab.simulate.monitor import Monitor
from nm_lab.simulate.node import Kept, Said, SimulatedDisk, SimulatedNode, WholeState
from nm_lab.simulate.variant import SOUND, Variant

TICK: Seconds = 0.25
BEAT: Seconds = 2.0
MOST_HELD = 2_000
"""How many messages wait for a link that is down."""


@dataclass(slots=True)
class Link:
    """One way from one supernode to another; `delay` and `jitter` in seconds, the rest 0 to 1."""

    delay: Seconds
    jitter: Seconds = 0.0
    is_lossy: bool = False
    loss: float = 0.0
    repeats: float = 0.0
    is_cut: bool = False
    held: list[Said] = field(default_factory=list)
    latest: Seconds = 0.0


@dataclass(slots=True)
class SimulatedPlace:
    """Where a supernode runs: its node, whether it lives, and its clocks."""

    node: SimulatedNode
    is_alive: bool = True
    life: int = 0
    hybrid: HybridClock = field(default_factory=HybridClock)
    offset: Seconds = 0.0
    """How far its wall clock is ahead."""


class SimulatedFederation:
    """Voters and standbys that agree while time passes. `agreed` has the moment of each change."""

    def __init__(
        self,
        random: Random,
        link: Callable[[], Link],
        voters: Iterable[VoterId],
        *,
        standbys: Iterable[VoterId] = (),
        pace: Pace | None = None,
        snapshots: int = 0,
        variant: Variant = SOUND,
    ) -> None:
        self.random = random
        self.clock = VirtualClock()
        genesis = frozenset(voters), frozenset(standbys)
        self.everyone = sorted(genesis[0] | genesis[1])
        self.links = {(a, b): link() for a in self.everyone for b in self.everyone if a != b}
        self.places = {
            me: SimulatedPlace(
                variant.node(
                    me,
                    SimulatedDisk(WholeState(0, "", variant.tally(*genesis))),
                    pace or Pace(),
                    random.random,
                    snapshots,
                    variant.agreement,
                )
            )
            for me in self.everyone
        }
        self.monitor = Monitor(
            {me: p.node for me, p in self.places.items()}, variant.truth(*genesis)
        )
        self.accepted: dict[ChangeId, Seconds] = {}
        self.agreed: dict[ChangeId, Seconds] = {}
        self.messages = 0
        for me in self.everyone:
            self._live(me)

    # --- what tests and schedules do

    def offer(self, me: VoterId, kind: str = "count", key: str = "n") -> ChangeId:
        """Ask one supernode for a change. Accepted only if that lives."""
        place = self.places[me]
        id = f"p/1/{len(self.accepted) + 1}"
        stamp = place.hybrid.tick(self._moment(place), FAR_AHEAD)
        change = Change(id, "p", kind, key, timestamp=stamp, supernode=me)
        if place.is_alive:
            self._do(me, lambda now, moment: place.node.offer(change, now, moment))
        return id

    def kill(self, me: VoterId) -> None:
        """All but its disk is gone."""
        place = self.places[me]
        place.is_alive, place.life = False, place.life + 1

    def revive(self, me: VoterId) -> None:
        """Start it from its disk; what waited for it comes."""
        place = self.places[me]
        if not place.is_alive:
            place.is_alive = True
            place.node.start()
            self._live(me)
            for sender in self.everyone:
                if sender != me:
                    self._release(sender, me)

    def cut(self, sender: VoterId, to: VoterId) -> None:
        """Nothing comes through, this way."""
        self.links[sender, to].is_cut = True

    def fix(self, sender: VoterId, to: VoterId) -> None:
        """It comes through again, with all that waited."""
        self.links[sender, to].is_cut = False
        self._release(sender, to)

    def is_at_rest(self) -> bool:
        """Whether all live, are as far as one another, and nothing accepted is left."""
        nodes = [place.node for place in self.places.values()]
        return (
            all(place.is_alive for place in self.places.values())
            and len({node.agreement.height for node in nodes}) == 1
            and not any(node.disk.outbox for node in nodes)
            and all(node.tally.is_answered(change) for node in nodes for change in self.accepted)
        )

    # --- how it lives

    def _live(self, me: VoterId) -> None:
        """Tick and beat, not all at once."""
        life = self.places[me].life
        self.clock.later(TICK * self.random.random(), partial(self._tick, me, life))
        self.clock.later(BEAT * self.random.random(), partial(self._beat, me, life))

    def _tick(self, me: VoterId, life: int) -> None:
        place = self.places[me]
        if place.is_alive and place.life == life:
            self._do(me, place.node.tick)
            self.clock.later(TICK, partial(self._tick, me, life))

    def _beat(self, me: VoterId, life: int) -> None:
        place = self.places[me]
        if place.is_alive and place.life == life:
            for other, said in place.node.regular(one for one in self.everyone if one != me):
                self._send(me, other, said)
            self.clock.later(BEAT, partial(self._beat, me, life))

    def _do(self, me: VoterId, event: Callable[[Seconds, Micros], Iterable[Kept]]) -> None:
        """An event, what becomes durable of it, and what is said."""
        place = self.places[me]
        effects = list(event(self.clock.now(), self._moment(place)))
        if not effects:
            return
        place.node.persist(effects, partial(self._kept, place))
        for to, said in place.node.messages(effects):
            self.monitor.says(place.node, said)
            self._send(me, to, said)
        self.monitor.settled(place.node)

    def _kept(self, place: SimulatedPlace, effect: Kept) -> None:
        self.monitor.kept(place.node, effect)
        if isinstance(effect, KeepChange):
            self.accepted[effect.change.id] = self.clock.now()
        elif isinstance(effect, KeepBatch):
            place.hybrid.seen(effect.batch.time, self._moment(place), FAR_AHEAD)
            for change in effect.batch.changes:
                if change.supernode == place.node.me:
                    self.agreed.setdefault(change.id, self.clock.now())

    def _moment(self, place: SimulatedPlace) -> Micros:
        return int((self.clock.now() + place.offset) * 1_000_000)

    # --- how messages travel

    def _send(self, sender: VoterId, to: VoterId, said: Said) -> None:
        self.messages += 1
        said, link = self.places[sender].node.wrapped(said), self.links[sender, to]
        if not link.is_lossy:
            self._in_order(sender, to, said)
            return
        if link.is_cut:
            return
        for _ in range(2 if self.random.random() < link.repeats else 1):
            if self.random.random() >= link.loss:
                delay = link.delay + link.jitter * self.random.random()
                self.clock.later(delay, partial(self._bring, sender, to, said))

    def _in_order(self, sender: VoterId, to: VoterId, said: Said) -> None:
        link = self.links[sender, to]
        if link.is_cut or not self.places[to].is_alive:
            link.held.append(said)
            del link.held[:-MOST_HELD]
            return
        now = self.clock.now()
        link.latest = max(link.latest, now + link.delay + link.jitter * self.random.random())
        self.clock.later(link.latest - now, partial(self._bring, sender, to, said))

    def _release(self, sender: VoterId, to: VoterId) -> None:
        """What waited comes in one burst."""
        link = self.links[sender, to]
        held, link.held = link.held, []
        for said in held:
            self._in_order(sender, to, said)

    def _bring(self, sender: VoterId, to: VoterId, said: Said) -> None:
        place, link = self.places[to], self.links[sender, to]
        if not link.is_lossy and (link.is_cut or not place.is_alive):
            link.held.append(said)
        elif place.is_alive and not link.is_cut:
            self._take(place, sender, said)
            for other, early in place.node.due():
                self._take(place, other, early)

    def _take(self, place: SimulatedPlace, sender: VoterId, said: Said) -> None:
        node = place.node
        self._do(node.me, lambda now, moment: node.take(sender, said, now, moment))
