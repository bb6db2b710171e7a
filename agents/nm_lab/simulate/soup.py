"""Supernodes in a soup of messages: no clock, any order, repetition, loss, and crashes anywhere.

Each run is a function of its seed. It promises nothing about liveness; it is there to find the one
order of events that breaks a rule, and `trace` tells that order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from nm_bus.core.ledger.effects import Pace
from nm_bus.messages import Change, VoterId
from nm_lab.simulate.monitor import Monitor, described
from nm_lab.simulate.node import Kept, Said, SimulatedDisk, SimulatedNode, WholeState
from nm_lab.simulate.variant import SOUND, Variant


@dataclass(frozen=True, slots=True)
class SoupKind:
    """How many voters (one of these numbers) and standbys, whether voters change, and snapshots.

    With `strangers`, the last of the voters began with another project file. A supernode of the
    soup that `forgets` may lose its last write when it crashes, or come back as it was long ago.
    """

    voters: tuple[int, ...]
    standbys: int = 0
    reseats: bool = False
    snapshots: int = 0
    strangers: bool = False
    forgets: bool = False


KINDS = {
    "plain": SoupKind(voters=(3, 3, 4, 5)),
    "voters": SoupKind(voters=(2, 3, 3), standbys=2, reseats=True),
    "snapshots": SoupKind(voters=(2, 3, 3), standbys=1, reseats=True, snapshots=2),
    "beginnings": SoupKind(voters=(3, 3, 4, 5), strangers=True),
    "lost-writes": SoupKind(voters=(3, 3, 4, 5), forgets=True),
}

EVENTS = 160
"""How much happens; where crashes are worse, twice as much."""

MOST_UNDER_WAY = 40
MOST_CHANGES = 12
CRASHES = 0.04
"""How often an event ends in a crash, before its effects are durable or after."""

JUMPS = (0.0, 0.0, 1.0, 3.0, 10.0)
"""How far a clock goes on at once, where every timer is one second."""


class Soup:
    """One run. `decided` tells afterwards how much came of it."""

    def __init__(
        self,
        seed: int,
        kind: SoupKind,
        variant: Variant = SOUND,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.kind, self.trace = kind, trace
        self.decided = 0
        self._random = random = Random(seed)
        self._number = 0
        self._changes: list[Change] = []
        self._under_way: list[tuple[VoterId, VoterId, Said]] = []
        seats = random.choice(kind.voters)
        self._everyone = [f"{chr(ord('a') + n)}#1" for n in range(seats + kind.standbys)]
        beginnings = dict.fromkeys(self._everyone, "ours")
        if kind.strangers:
            beginnings[self._everyone[seats - 1]] = "theirs"
        genesis = frozenset(self._everyone[:seats]), frozenset(self._everyone[seats:])
        self._clocks = dict.fromkeys(self._everyone, 0.0)
        self._nodes = {
            me: variant.node(
                me,
                SimulatedDisk(WholeState(0, "", variant.tally(*genesis))),
                Pace(1.0, 1.0, 1.0),
                random.random,
                kind.snapshots,
                variant.agreement,
                beginnings,
            )
            for me in self._everyone
        }
        self._natives = {me for me, beginning in beginnings.items() if beginning == "ours"}
        self._monitor = Monitor(self._nodes, variant.truth(*genesis))

    def run(self) -> None:
        """Let it boil. Raises RuleBrokenError when a rule breaks."""
        events = 2 * EVENTS if self.kind.forgets else EVENTS
        for self._number in range(events):
            self._event()
        self._end()

    def _end(self) -> None:
        """Look at what came of it."""
        self.decided = len(self._monitor.chosen)

    # --- what may happen

    def _event(self) -> None:
        chance = self._random.random()
        if chance < 0.66 and self._under_way:
            self._deliver()
        elif chance < 0.70 and self._under_way:
            self._tell("lost", *self._take_one())
        elif chance < 0.90:
            self._tick(self._random.choice(self._everyone))
        elif chance < 0.93:
            self._beat(self._random.choice(self._everyone))
        elif len(self._changes) < MOST_CHANGES:
            self._offer(self._random.choice(self._everyone))

    def _deliver(self) -> None:
        sender, to, said = self._take_one()
        if self._random.random() < 0.15:
            self._under_way.append((sender, to, said))
        self._tell("takes", sender, to, said)
        node = self._nodes[to]
        self._do(to, lambda: node.take(sender, said, self._clocks[to], self._number))
        for one, early in node.due():
            self._take(one, to, early)

    def _take(self, sender: VoterId, to: VoterId, said: Said) -> None:
        node = self._nodes[to]
        self._do(to, lambda: node.take(sender, said, self._clocks[to], self._number))

    def _take_one(self) -> tuple[VoterId, VoterId, Said]:
        """A message of any age."""
        waiting = self._under_way
        place = int(self._random.random() * len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        return waiting.pop()

    def _tick(self, me: VoterId) -> None:
        self._clocks[me] += self._random.choice(JUMPS)
        self._tell("ticks", me)
        node = self._nodes[me]
        self._do(me, lambda: node.tick(self._clocks[me], self._number))

    def _beat(self, me: VoterId) -> None:
        others = [other for other in self._everyone if other != me]
        self._send(me, self._nodes[me].regular(others))

    def _offer(self, me: VoterId) -> None:
        """Somebody asks for a change, or asks again elsewhere for the same one."""
        change = self._new_change(me)
        if self._changes and self._random.random() < 0.2:
            change = self._stamped(self._random.choice(self._changes), me)
        self._changes.append(change)
        self._tell(f"is offered {change.kind} {change.key} {change.id}", me)
        node = self._nodes[me]
        self._do(me, lambda: node.offer(change, self._clocks[me], self._number))

    def _new_change(self, me: VoterId) -> Change:
        kind, key = "count", "n"
        if self.kind.reseats and self._random.random() < 0.6:
            kind = self._random.choice(("vote", "follow"))
            key = self._random.choice(self._everyone)
        asked = Change(f"p/1/{len(self._changes)}", "p", kind, key)
        return self._stamped(asked, me)

    def _stamped(self, change: Change, me: VoterId) -> Change:
        moment = int(self._random.random() * 5)
        return Change(
            change.id, change.actor, change.kind, change.key, timestamp=moment, supernode=me
        )

    # --- how it ends

    def _do(self, me: VoterId, event: Callable[[], list[Kept]]) -> None:
        """An event, what becomes durable of it, and what is said: or a crash between these."""
        node, crash = self._nodes[me], self._random.random()
        effects = event()
        often = CRASHES / 4 if self.kind.forgets else CRASHES
        if crash < often / 2:
            self._tell("crashes before anything is durable", me)
            node.start()
            return
        node.persist(effects, lambda effect: self._kept(node, effect))
        messages = node.messages(effects)
        if crash < often:
            messages = messages[: int(self._random.random() * len(messages))]
            self._tell(f"crashes after {len(messages)} messages", me)
            self._crash(node)
        self._send(me, messages)
        if me in self._natives:
            self._monitor.settled(node)

    def _crash(self, node: SimulatedNode) -> None:
        """It lives again from its disk."""
        node.start()

    def _kept(self, node: SimulatedNode, effect: Kept) -> None:
        """The witness watches the ledgers of one beginning; another's votes are none there."""
        if node.me in self._natives:
            self._monitor.kept(node, effect)

    def _send(self, me: VoterId, messages: list[tuple[VoterId, Said]]) -> None:
        for to, said in messages:
            if me in self._natives:
                self._monitor.says(self._nodes[me], said)
            if len(self._under_way) >= MOST_UNDER_WAY:
                self._take_one()
            self._under_way.append((me, to, self._nodes[me].wrapped(said)))
            self._tell("says", me, to, said)

    # --- what is told

    def _tell(
        self, what: str, who: VoterId, to: VoterId | None = None, said: Said | None = None
    ) -> None:
        if self.trace is not None:
            between = who if to is None else f"{who} to {to}"
            words = "" if said is None else described(said)
            self.trace(f"{self._number:4} {between:10} {what} {words}".rstrip())
