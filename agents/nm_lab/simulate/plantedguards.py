"""Bugs planted in what finds out another history; see `nm_lab.simulate.planted`."""

from nm_bus.core.ledger.heads import Heads
from nm_bus.messages import Mark, VoterId
from nm_lab.simulate.guarded import GuardedNode


class AllHeadsAlike(Heads):
    """No head is another one."""

    def counts(self, peer: VoterId, *claims: Mark | None) -> bool:
        """Everybody."""
        return True


class NeverOutvoted(Heads):
    """However many differ, the rest is enough."""

    def is_outvoted(self, voters: frozenset[VoterId]) -> bool:
        """Never."""
        return False


class NewestHeadAlone(Heads):
    """The own heads of the past are forgotten."""

    def counts(self, peer: VoterId, *claims: Mark | None) -> bool:
        """Compare at the own height alone."""
        height = next(reversed(self._own), -1)
        here = [claim for claim in claims if claim is not None and claim.height == height]
        return Heads.counts(self, peer, *here)


class CountsAnotherHistory(GuardedNode):
    """What a peer says counts, whatever head it has."""

    heads_class = AllHeadsAlike


class GoesOnOutvoted(GuardedNode):
    """Whose history too many others do not have goes on all the same."""

    heads_class = NeverOutvoted


class ComparesTheNewestOnly(GuardedNode):
    """The own heads of the past are not compared."""

    heads_class = NewestHeadAlone
