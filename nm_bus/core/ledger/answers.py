"""What became of each change, by its exact id, so that asking again does nothing twice.

Bounded by rules that are themselves deterministic: of each principal's incarnation the answers to
the highest thousand sequences, and of all of them those that were used last. The highest sequence
that was seen says nothing: 5 may well be decided before 4.

What is forgotten leaves a floor behind it, so that nothing is done twice however late it comes: the
revision up to which a forgotten asker was answered. A change of an asker that is not remembered
counts only when its author saw a later revision, which no change that was answered then can say.
It is no time, so that no wild clock moves it.
"""

import re
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from nm_bus.messages import Change, ChangeId, Proposed
from nm_bus.messages.base import Nested

WINDOW = 1_000
"""How many answers are kept of one incarnation of a principal."""

MOST_ASKERS = 10_000
"""How many incarnations are remembered; the one whose last answer is the oldest goes first."""

MOST_ANSWERS = 200_000
"""How many answers are kept in all; the same one goes first."""

_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9._@-]{0,199})/([A-Za-z0-9._-]{1,64})/([1-9][0-9]{0,14})")

Asker = tuple[str, str]
"""A principal and its incarnation."""


class Answered(Nested, frozen=True):
    """The answers to one asker, in the order of their sequences.

    Every sequence up to `watermark` was answered or never will be; `used` is the revision at which
    the last answer was given, and `floor` that of all when the first one was.
    """

    principal: str
    incarnation: str
    watermark: int
    used: int
    floor: int
    answers: tuple[Proposed, ...]


@dataclass(slots=True)
class _Window:
    floor: int = 0
    watermark: int = 0
    used: int = 0
    sequences: list[int] = field(default_factory=list)
    answers: dict[int, Proposed] = field(default_factory=dict)


def parts(change: ChangeId) -> tuple[Asker, int] | None:
    """Who asked, and the sequence; None for what is no change id."""
    found = _ID.fullmatch(change)
    return ((found[1], found[2]), int(found[3])) if found else None


class Answers:
    """The answers of one ledger. A change of an asker that is not remembered must be based on
    revision `floor` or a later one."""

    def __init__(self, answered: Iterable[Answered] = (), floor: int = 0) -> None:
        """Begin with these, in the order of their last use."""
        self.floor = floor
        self._windows: dict[Asker, _Window] = {}
        self._count = 0
        for one in answered:
            by_sequence = {int(a.id.rpartition("/")[2]): a for a in one.answers}
            window = _Window(one.floor, one.watermark, one.used, sorted(by_sequence), by_sequence)
            self._windows[one.principal, one.incarnation] = window
            self._count += len(by_sequence)

    def find(self, change: ChangeId) -> Proposed | None:
        """The answer that was given to this very id, as far as it is remembered."""
        asked = parts(change)
        window = self._windows.get(asked[0]) if asked else None
        return window.answers.get(asked[1]) if asked and window else None

    def is_too_old(self, change: Change) -> bool:
        """Whether it may have been answered, and the answer was forgotten."""
        asked = parts(change.id)
        if asked is None:
            return False
        window = self._windows.get(asked[0]) or _Window(self.floor)
        return change.base < window.floor or asked[1] <= window.watermark

    def keep(self, answer: Proposed, revision: int) -> None:
        """Keep the first answer to a well-formed id, given at this revision; its asker is now the
        last one used."""
        asked = parts(answer.id)
        if asked is None:
            raise ValueError(f"{answer.id} is no change id")
        asker, sequence = asked
        window = self._windows.pop(asker, None) or _Window(self.floor)
        self._windows[asker] = window
        window.used = revision
        insort(window.sequences, sequence)
        window.answers[sequence] = answer
        self._count += 1
        if len(window.sequences) > WINDOW:
            self._slide(window)
        while len(self._windows) > MOST_ASKERS or self._count > MOST_ANSWERS:
            self._forget_one()

    def held(self, asker: Asker) -> tuple[tuple[int, int, int], int] | None:
        """Of one asker watermark, last use and floor, and how many answers are held."""
        one = self._windows.get(asker)
        return ((one.watermark, one.used, one.floor), len(one.sequences)) if one else None

    def window(self, asker: Asker) -> Answered | None:
        """What is held of one asker."""
        one = self._windows.get(asker)
        if one is None:
            return None
        answers = tuple(one.answers[n] for n in one.sequences)
        return Answered(*asker, one.watermark, one.used, one.floor, answers)

    @property
    def askers(self) -> int:
        """How many askers are remembered."""
        return len(self._windows)

    def all(self) -> tuple[Answered, ...]:
        """All of them, the asker that was used last at the end."""
        windows = (self.window(asker) for asker in self._windows)
        return tuple(window for window in windows if window is not None)

    def _slide(self, window: _Window) -> None:
        window.watermark = window.sequences.pop(0)
        del window.answers[window.watermark]
        self._count -= 1

    def _forget_one(self) -> None:
        oldest = self._windows.pop(next(iter(self._windows)))
        self._count -= len(oldest.sequences)
        # a change that was answered is based on what was there then: on this revision at most
        self.floor = max(self.floor, oldest.used + 1)
