"""Schedules in which a disk forgets what it voted for, or a program computes something else.

No rule about votes can hold then. What holds: whoever goes on afterwards has one history, what
computed something else is stopped before it does anything more, and nobody stops without a cause.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

from nm_bus.core.ledger.effects import KeepVote
from nm_bus.messages import Batch, Seconds
from nm_lab.simulate.guarded import GuardedNode, SavedDisk
from nm_lab.simulate.monitor import Monitor, RuleBrokenError
from nm_lab.simulate.node import Kept, Said, SimulatedNode
from nm_lab.simulate.schedules import Schedule
from nm_lab.simulate.variant import Variant

LATEST_SLIP = 25
"""The last revision at which a program may begin to compute something else."""


def is_going_on(node: SimulatedNode) -> bool:
    """Whether it has not stopped."""
    return not cast("GuardedNode", node).reason


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

    def _is_at_rest(self) -> bool:
        """Whether all that go on are as far as one another, with nothing left to agree on; where
        they are no majority, they may wait for ever."""
        return len(self._quiet()) == 1 if self._can_agree() else True

    def _quiet(self) -> set[object]:
        """How far those are that go on, and what is in their way."""
        return {
            (node.agreement.height, str(node.tally.parts()), len(node.disk.outbox))
            for node in self.nodes
            if not node.reason
        } | {("waits", node.me) for node in self.nodes if not node.reason and node.disk.outbox}

    def _can_agree(self) -> bool:
        voters = self.nodes[0].tally.voters
        going_on = {node.me for node in self.nodes if not node.reason}
        return 2 * len(voters & going_on) > len(voters)


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
        return *super()._faults(), self._lose, self._lose, self._lose_all, self._put_back

    def _lose(self, lasts: Seconds) -> None:
        node = self._random.choice(self.nodes)
        self._tell(f"{node.me} loses its last write, and dies for {lasts:.1f} s")
        self._forget(node, lasts)

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
        going_on = [node for node in self.nodes if not node.reason]
        if not self._forgot and len(going_on) < len(self.nodes):
            raise RuleBrokenError("stops have a cause", str([node.reason for node in self.nodes]))
        self._check_history(going_on)

    def _check_history(self, nodes: Iterable[GuardedNode]) -> None:
        histories: dict[int, tuple[str, tuple[object, ...]]] = {}
        for node in nodes:
            height, parts = node.agreement.height, node.tally.parts()
            other, has = histories.setdefault(height, (node.me, parts))
            if has != parts:
                raise RuleBrokenError("one history", f"slot {height}: {other} and {node.me}")
