"""What was decided beyond the next slot: kept until the slots before it are here."""

from dataclasses import dataclass, field

from nm_bus.messages import Decided, Seconds, VoterId

BUFFERED = 64
"""How far beyond a gap decisions are kept."""


@dataclass(slots=True)
class Gap:
    """Decisions that cannot be applied yet, with who sent them."""

    _beyond: dict[int, tuple[VoterId, Decided]] = field(default_factory=dict)
    _asked: tuple[VoterId, int, Seconds] = ("", -1, 0.0)

    def keep(self, sender: VoterId, step: Decided, height: int) -> None:
        """Keep a decision for later, unless it is the next one or too far ahead."""
        if height + 1 < step.slot <= height + BUFFERED:
            self._beyond[step.slot] = sender, step

    def take(self, slot: int) -> tuple[VoterId, Decided] | None:
        """The decision of a slot, if it was kept; it is kept no longer."""
        return self._beyond.pop(slot, None)

    def close(self, slot: int) -> None:
        """Everything up to this slot is decided here."""
        self._beyond = {n: kept for n, kept in self._beyond.items() if n > slot}

    def may_ask(self, whom: VoterId, height: int, now: Seconds, patience: Seconds) -> bool:
        """Whether to ask somebody for what follows this height: not again while an answer may come,
        and later still of one that gave none, so that another one is asked first."""
        before, asked, since = self._asked
        wait = 1.5 * patience if whom == before else patience
        due = asked != height or now - since >= wait
        if due:
            self._asked = whom, height, now
        return due
