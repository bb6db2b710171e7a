"""Bugs planted in what finds out another history; see `nm_lab.simulate.planted`."""

from nm_bus.messages import Mark, VoterId
from nm_lab.simulate.guarded import GuardedNode


class CountsAnotherHistory(GuardedNode):
    """What a peer says counts, whatever head it has."""

    def hears_head(self, sender: VoterId, mark: Mark | None) -> bool:
        """Everybody."""
        return True


class GoesOnOutvoted(GuardedNode):
    """Whose history too many others do not have goes on all the same."""

    def _stop_if_outvoted(self) -> None:
        """Never."""


class ComparesTheNewestOnly(GuardedNode):
    """The own heads of the past are forgotten."""

    def hears_head(self, sender: VoterId, mark: Mark | None) -> bool:
        """Compare at the own height alone."""
        is_here = mark is not None and mark.height == self.agreement.height
        return self.heads.counts(sender, mark if is_here else None)
