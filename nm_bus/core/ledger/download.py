"""Which pages of a snapshot are asked for next, and when again: a window that fits the link.

The receiver asks, so that no queue fills with what cannot be taken. How much is under way follows
from what came lately, and how long an answer is waited for from how long the others took (RFC 6298,
with Karn's rule: a page that was asked for twice tells nothing).
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from nm_bus.messages import Seconds, VoterId

LEAST, MOST = 4, 64
"""How many pages are under way, at least and at most."""

SPAN: Seconds = 2.0
"""No more than what this time brings is under way, beyond the least."""

FIRST, SHORTEST, LONGEST = 4.0, 1.0, 16.0
"""How long a page is waited for: the first ones, and within which bounds."""

MOST_DOUBLINGS = 4

SILENT, MOST_SILENT = 30.0, 300.0
"""A supplier of which no page came for so long, or for a quarter of the time that was put into it,
gives way to another one; and after the latter in any case."""


@dataclass(slots=True)
class Download:
    """The pages of one cut, asked of one supplier from `began` on. `random` gives 0 to 1."""

    supplier: VoterId
    cut: str
    began: Seconds
    random: Callable[[], float]
    last: int | None = None
    """The number of the last page, once it is known."""
    _heard: Seconds = field(init=False)
    _came: set[int] = field(default_factory=set)
    _asked: dict[int, tuple[Seconds, Seconds]] = field(default_factory=dict)
    """Since when a page is under way, and until when it is waited for."""
    _again: list[int] = field(default_factory=list)
    """A heap of the pages that did not come in time."""
    _late: set[int] = field(default_factory=set)
    """The pages that were waited for in vain, and tell nothing of how long one takes."""
    _next: int = 0
    _lately: deque[Seconds] = field(default_factory=lambda: deque(maxlen=MOST))
    _usual: tuple[Seconds, Seconds] | None = None
    """How long a page takes, and how much that differs."""
    _doublings: int = 0

    def __post_init__(self) -> None:
        self._heard = self.began

    @property
    def is_whole(self) -> bool:
        """Whether all pages came."""
        return self.last is not None and len(self._came) == self.last + 1

    def is_silent(self, now: Seconds) -> bool:
        """Whether the supplier is given up as soon as another one offers its own."""
        spent = (self._heard - self.began) / 4
        return now - self._heard > min(max(SILENT, spent), MOST_SILENT)

    def take(self, page: int, now: Seconds, *, last: bool) -> bool:
        """A page came; False for one that is here already, or is none of these."""
        if page in self._came or page >= (self._next if self.last is None else self.last + 1):
            return False
        self._came.add(page)
        since, _ = self._asked.pop(page, (now, now))
        if page not in self._late:
            self._took(now - since)
        self._late.discard(page)
        self._heard = now
        self._lately.append(now)
        if last:
            self._ends(page)
        return True

    def due(self, now: Seconds) -> list[int]:
        """The pages to ask for now; they are under way from now on."""
        self._give_up(now)
        pages: list[int] = []
        while len(self._asked) < self._window(now):
            page = self._missing()
            if page is None:
                break
            self._asked[page] = now, now + self._patience()
            pages.append(page)
        return pages

    def _missing(self) -> int | None:
        while self._again:
            page = heapq.heappop(self._again)
            if page not in self._came:
                return page
        if self.last is not None and self._next > self.last:
            return None
        self._next += 1
        return self._next - 1

    def _give_up(self, now: Seconds) -> None:
        """Pages that are overdue will be asked for again, and all with more patience."""
        overdue = [page for page, (_, until) in self._asked.items() if now >= until]
        for page in overdue:
            del self._asked[page]
            self._late.add(page)
            heapq.heappush(self._again, page)
        if overdue:
            self._doublings = min(self._doublings + 1, MOST_DOUBLINGS)

    def _window(self, now: Seconds) -> int:
        lately = sum(now - came < SPAN for came in self._lately)
        return min(LEAST + lately, MOST)

    def _patience(self) -> Seconds:
        usual, differs = self._usual or (FIRST, 0.0)
        wait: Seconds = max(usual + 4 * differs, SHORTEST) * 2**self._doublings
        return min(wait, LONGEST) * (1 + self.random() / 4)

    def _took(self, seconds: Seconds) -> None:
        """A page that was asked for once took so long."""
        self._doublings = 0
        if self._usual is None:
            self._usual = seconds, seconds / 2
            return
        usual, differs = self._usual
        differs += (abs(seconds - usual) - differs) / 4
        self._usual = usual + (seconds - usual) / 8, differs

    def _ends(self, page: int) -> None:
        """This was the last one: what was asked for beyond it is not there."""
        self.last = page
        self._asked = {one: when for one, when in self._asked.items() if one < page}
        self._again = [one for one in self._again if one < page]
        heapq.heapify(self._again)
