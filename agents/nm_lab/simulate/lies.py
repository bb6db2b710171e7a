"""Schedules in which a disk forgets what it voted for, or a program computes something else.

No rule about votes can hold then. What holds: whoever goes on afterwards has one history, what
computed something else is stopped before it does anything more, and nobody stops without a cause.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import cast

from nm_bus.core.ledger.effects import NO_VOTE, KeepVote
from nm_bus.messages import Batch, Seconds, VoterId
from nm_lab.simulate.guarded import GuardedNode, SavedDisk
from nm_lab.simulate.monitor import Monitor, RuleBrokenError, is_majority
from nm_lab.simulate.node import Kept, Said, SimulatedNode
from nm_lab.simulate.schedules import Schedule
from nm_lab.simulate.soup import Soup, SoupKind
from nm_lab.simulate.variant import Variant

LOSES, COMES_BACK = 0.5, 0.1
"""How often a crash of a soup takes the last write with it, or brings an old disk back."""

HEARD: Seconds = 30.0
"""So long after everything healed everybody has heard everybody."""

LURKS: Seconds = 0.02
"""How often a schedule looks whether a vote has just made a majority."""

LATEST_SLIP = 25
"""The last revision at which a program may begin to compute something else."""


class GuardedSchedule(Schedule):
    """A schedule of supernodes with all that guards their votes; the voters stay the same."""

    reseats = False

    def __init__(
        self, seed: int, variant: Variant, trace: Callable[[str], None] | None = None
    ) -> None:
        is_guarded = issubclass(variant.node, GuardedNode)
        super().__init__(seed, variant if is_guarded else replace(variant, node=GuardedNode), trace)

    @property
    def nodes(self) -> list[GuardedNode]:
        """All supernodes."""
        return [cast("GuardedNode", place.node) for place in self._federation.places.values()]

    @property
    def going_on(self) -> list[GuardedNode]:
        """Those that have not stopped."""
        return [node for node in self.nodes if not node.reason]

    def _is_at_rest(self) -> bool:
        """Whether all that go on are as far as one another, with nothing left to agree on; where
        they are no majority, they may wait for ever."""
        if not self._can_agree():
            return True
        states = {(node.agreement.height, str(node.tally.parts())) for node in self.going_on}
        return len(states) == 1 and not any(node.disk.outbox for node in self.going_on)

    def _can_agree(self) -> bool:
        going_on = {node.me for node in self.going_on}
        for node in self.nodes:
            with_it = node.tally.voters & going_on - node.guard.heads.differing.keys()
            if node.me in with_it and 2 * len(with_it) > len(node.tally.voters):
                return True
        return False


class SlippedMonitor(Monitor):
    """Does not count what a supernode votes for after its program computed something else."""

    def kept(self, node: SimulatedNode, effect: Kept) -> None:
        """See Monitor."""
        slipped = cast("GuardedNode", node).slipped
        if not (slipped and isinstance(effect, KeepVote) and effect.slot > slipped):
            super().kept(node, effect)

    def says(self, node: SimulatedNode, said: Said) -> None:
        """See Monitor."""
        if not cast("GuardedNode", node).slipped:
            super().says(node, said)

    def settled(self, node: SimulatedNode) -> None:
        """See Monitor."""
        if not cast("GuardedNode", node).slipped:
            super().settled(node)


class SlipSchedule(GuardedSchedule):
    """One supernode's program computes something else from some revision on.

    Nobody takes snapshots: one of a supernode that was not found out yet would be believed.
    """

    def __init__(
        self, seed: int, variant: Variant, trace: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(seed, variant, trace)
        federation = self._federation
        nodes = {node.me: node for node in self.nodes}
        for node in self.nodes:
            node.snapshots = 0
        voters = federation.monitor.states[0].voters
        self._slipping = nodes[self._random.choice(sorted(voters))]
        self._slipping.slips = self._random.randint(1, LATEST_SLIP)
        self._slipping.machine.slips = self._slipping.slips
        federation.monitor = SlippedMonitor(
            {me: place.node for me, place in federation.places.items()},
            variant.truth(voters, federation.monitor.states[0].standbys),
        )

    def _judge(self) -> None:
        one = self._slipping
        where = f"{one.me} from revision {one.slips} on, at {one.agreement.height}"
        if one.slipped and (one.moved_on or not one.reason):
            raise RuleBrokenError("slips are found", where)
        if one.reason and not one.slipped:
            raise RuleBrokenError("stops have a cause", where)
        for node in self.nodes:
            if node.reason and node is not one:
                raise RuleBrokenError("stops have a cause", f"{node.me}: {node.reason}")


@dataclass(slots=True)
class Unwatched:
    """No monitor: no rule about votes holds where disks forget them."""

    chosen: dict[int, Batch] = field(default_factory=dict)

    def kept(self, _node: SimulatedNode, _effect: Kept) -> None:
        """Look away."""

    def says(self, _node: SimulatedNode, _said: Said) -> None:
        """Look away."""

    def settled(self, node: SimulatedNode) -> None:
        """Nothing is asked of what it told."""
        node.tally.told.clear()


class ForgetfulSchedule(GuardedSchedule):
    """Disks lose their last write with the power, and now and then one comes back as it was."""

    def __init__(
        self, seed: int, variant: Variant, trace: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(seed, variant, trace)
        self._federation.monitor = cast("Monitor", Unwatched())
        self._kept: dict[str, SavedDisk] = {}
        self._forgot = False

    @property
    def decided(self) -> int:
        """How many slots were decided."""
        return max(node.agreement.height for node in self.nodes)

    def _faults(self) -> tuple[Callable[[Seconds], None], ...]:
        lies = self._lose, self._lose_vote, self._lose_vote, self._lose_all, self._put_back
        return *super()._faults(), *lies

    def _lose(self, lasts: Seconds) -> None:
        node = self._random.choice(self.nodes)
        self._tell(f"{node.me} loses its last write, and dies for {lasts:.1f} s")
        self._forget(node, lasts)

    def _lose_vote(self, lasts: Seconds) -> None:
        """As soon as a vote is what makes a majority, it is lost; and the others of that majority
        are not heard for a while."""
        for node in self.nodes:
            if witnesses := witnesses_of(node, self.nodes):
                self._tell(f"{node.me} loses its vote; not heard are {sorted(witnesses)}")
                self._cut(lambda sender, _to: sender in witnesses, lasts + 40.0)
                self._forget(node, 1.0)
                return
        if self._federation.clock.now() < self._end:
            self._federation.clock.later(LURKS, partial(self._lose_vote, lasts))

    def _lose_all(self, lasts: Seconds) -> None:
        some = self._random.sample(self.nodes, 2)
        self._tell(f"{[node.me for node in some]} lose their last writes")
        for node in some:
            self._forget(node, lasts * self._random.uniform(0.5, 1.0))

    def _put_back(self, lasts: Seconds) -> None:
        """Copy a disk; or put back the copy that was made before."""
        node = self._random.choice(self.nodes)
        if node.me not in self._kept:
            self._kept[node.me] = node.saved()
            return
        self._tell(f"the disk of {node.me} is put back to slot {self._kept[node.me].disk.height}")
        self._forgot = True
        self._federation.kill(node.me)
        node.put_back(self._kept.pop(node.me))
        self._federation.clock.later(lasts, partial(self._federation.revive, node.me))

    def _forget(self, node: GuardedNode, lasts: Seconds) -> None:
        self._forgot = True
        self._federation.kill(node.me)
        node.lose_last_write()
        self._federation.clock.later(lasts, partial(self._federation.revive, node.me))

    def _judge(self) -> None:
        self._federation.clock.advance(HEARD)
        if not self._forgot and len(self.going_on) < len(self.nodes):
            raise RuleBrokenError("stops have a cause", str([node.reason for node in self.nodes]))
        check_history(self.going_on)


def witnesses_of(node: GuardedNode, nodes: list[GuardedNode]) -> frozenset[VoterId]:
    """Who else has the vote that was a supernode's last write, where they are a bare majority with
    it: then the slot is decided, and nobody else may know of it."""
    vote = node.last_vote()
    if vote is None:
        return frozenset()
    slot, ballot = vote
    has = {one.me for one in nodes if one.disk.votes.get(slot, NO_VOTE).accepted == ballot}
    voters = node.tally.voters
    is_bare = len(has & voters) == len(voters) // 2 + 1 and node.me in voters
    return frozenset(has - {node.me}) if is_bare else frozenset()


def check_history(nodes: Iterable[GuardedNode]) -> None:
    """Raise RuleBrokenError when two that go on are at one slot with different states and count
    each other all the same, or when one goes on beside a majority with another state."""
    others: dict[VoterId, set[VoterId]] = defaultdict(set)
    all_ = {node.me: node for node in nodes}
    for one, other in combinations(all_.values(), 2):
        height = one.agreement.height
        if height == other.agreement.height and one.tally.parts() != other.tally.parts():
            if (
                other.me not in one.guard.heads.differing
                or one.me not in other.guard.heads.differing
            ):
                raise RuleBrokenError("one history", f"slot {height}: {one.me} and {other.me}")
            others[one.me].add(other.me)
            others[other.me].add(one.me)
    for me, differ in others.items():
        if is_majority(differ, all_[me].tally.voters):
            raise RuleBrokenError("one history", f"{me} beside {sorted(differ)}")


ROUNDS = 6
"""How often everybody hears everybody before a soup is judged: enough to fetch what is missing, and
to find out who has it not."""


class ForgetfulSoup(Soup):
    """A soup of supernodes whose disks lose their last write, or come back as they were."""

    def __init__(
        self,
        seed: int,
        kind: SoupKind,
        variant: Variant,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        is_guarded = issubclass(variant.node, GuardedNode)
        variant = variant if is_guarded else replace(variant, node=GuardedNode)
        super().__init__(seed, kind, variant, trace)
        self._monitor = cast("Monitor", Unwatched())
        self._copies: dict[str, SavedDisk] = {}
        self._silent = frozenset[VoterId]()
        """Who is not heard any more, until the end."""

    @property
    def nodes(self) -> list[GuardedNode]:
        """All supernodes."""
        return [cast("GuardedNode", node) for node in self._nodes.values()]

    def _crash(self, node: SimulatedNode) -> None:
        guarded, chance = cast("GuardedNode", node), self._random.random()
        if chance < LOSES:
            self._lose(guarded)
        elif chance < LOSES + COMES_BACK and node.me in self._copies:
            self._tell("is put back", node.me)
            guarded.put_back(self._copies.pop(node.me))
        elif chance > 1 - COMES_BACK:
            self._copies[node.me] = guarded.saved()
        node.start()

    def _do(self, me: VoterId, event: Callable[[], list[Kept]]) -> None:
        """A vote that makes a majority is lost more often than any other write."""
        super()._do(me, event)
        node = cast("GuardedNode", self._nodes[me])
        if not self._silent and witnesses_of(node, self.nodes) and self._random.random() < LOSES:
            self._lose(node)
            node.start()

    def _lose(self, node: GuardedNode) -> None:
        """Who else knows of the vote says nothing any more; what it was told still arrives."""
        self._silent = self._silent or witnesses_of(node, self.nodes)
        self._tell(f"has lost its last write; silent are {sorted(self._silent)}", node.me)
        node.lose_last_write()
        self._under_way = [said for said in self._under_way if said[0] not in self._silent]

    def _send(self, me: VoterId, messages: list[tuple[VoterId, Said]]) -> None:
        super()._send(me, [] if me in self._silent else messages)

    def _end(self) -> None:
        """Let everybody hear everybody, without loss; then hold them to one history."""
        self._under_way.clear()
        self._silent = frozenset()
        for _ in range(ROUNDS):
            for me in self._everyone:
                self._beat(me)
                while self._under_way:
                    sender, to, said = self._under_way.pop(0)
                    node = self._nodes[to]
                    effects = node.take(sender, said, self._clocks[to], self._number)
                    node.persist(effects, lambda _effect: None)
                    self._send(to, node.messages(effects))
        self.decided = max(node.agreement.height for node in self.nodes)
        check_history(node for node in self.nodes if not node.reason)
