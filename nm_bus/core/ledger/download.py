"""Which pages of a snapshot are asked for next, and when again: a window that fits the link.

The receiver asks, so that no queue fills with what cannot be taken. How much is under way follows
from what came lately, and how long an answer is waited for from how long the others took, as in
RFC 6298. Questions are numbered and answers repeat the number, so each tells how long it took.
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

OVERTAKEN = 3
"""A page is asked for again at once when so many that were asked for later came before it: links
keep the order, so it was lost."""

REMEMBERED = 4 * MOST
"""How many questions are remembered."""

SILENT, MOST_SILENT = 30.0, 300.0
"""A supplier of which no page came for so long, or for a quarter of the time that was put into it,
gives way to another one; and after the latter in any case."""


@dataclass(frozen=True, slots=True)
class Question:
    """A page that was asked for: the number of the question, since when, and until when it is
    waited for."""

    number: int
    since: Seconds
    until: Seconds


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
    _asked: dict[int, Question] = field(default_factory=dict)
    """The pages under way."""
    _questions: dict[int, Seconds] = field(default_factory=dict)
    """When each of the last questions was asked, also those that are not waited for any more."""
    _count: int = 0
    _again: list[int] = field(default_factory=list)
    """A heap of the pages that did not come in time."""
    _next: int = 0
    _lately: deque[Seconds] = field(default_factory=lambda: deque(maxlen=MOST))
    _usual: tuple[Seconds, Seconds] | None = None
    """How long a page takes, and how much that differs."""
    _doublings: int = 0
    _doubled: Seconds = 0.0

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

    def take(self, page: int, question: int, now: Seconds, *, last: bool) -> bool:
        """A page came, to this question; False for one that is here already, or is none of
        these."""
        since = self._questions.pop(question, None)
        if since is not None:
            self._took(now - since)
            self._lost(
                [one for one, each in self._asked.items() if each.number + OVERTAKEN < question]
            )
        if page in self._came or page >= (self._next if self.last is None else self.last + 1):
            return False
        self._came.add(page)
        self._asked.pop(page, None)
        self._heard, self._doublings = now, 0
        self._lately.append(now)
        if last:
            self._ends(page)
        return True

    def due(self, now: Seconds) -> list[tuple[int, int]]:
        """The pages to ask for now, each with the number of its question; they are under way from
        now on."""
        self._give_up(now)
        asked: list[tuple[int, int]] = []
        while len(self._asked) < self._window(now):
            page = self._missing()
            if page is None:
                break
            asked.append((page, self._ask(page, now)))
        return asked

    def _ask(self, page: int, now: Seconds) -> int:
        self._count += 1
        self._asked[page] = Question(self._count, now, now + self._patience())
        self._questions[self._count] = now
        if len(self._questions) > REMEMBERED:
            del self._questions[next(iter(self._questions))]
        return self._count

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
        """Pages that are overdue will be asked for again; with more patience when no page came
        since: then the link is slow, or down."""
        overdue = {page: asked for page, asked in self._asked.items() if now >= asked.until}
        self._lost(list(overdue))
        if any(asked.since >= max(self._heard, self._doubled) for asked in overdue.values()):
            self._doublings = min(self._doublings + 1, MOST_DOUBLINGS)
            self._doubled = now

    def _lost(self, pages: list[int]) -> None:
        for page in pages:
            del self._asked[page]
            heapq.heappush(self._again, page)

    def _window(self, now: Seconds) -> int:
        lately = sum(now - came < SPAN for came in self._lately)
        return min(LEAST + lately, MOST)

    def _patience(self) -> Seconds:
        usual, differs = self._usual or (FIRST, 0.0)
        wait: Seconds = max(usual + 4 * differs, SHORTEST) * 2**self._doublings
        return min(wait, LONGEST) * (1 + self.random() / 4)

    def _took(self, seconds: Seconds) -> None:
        """An answer took so long."""
        if self._usual is None:
            self._usual = seconds, seconds / 2
            return
        usual, differs = self._usual
        differs += (abs(seconds - usual) - differs) / 4
        self._usual = usual + (seconds - usual) / 8, differs

    def _ends(self, page: int) -> None:
        """This was the last one: what was asked for beyond it is not there."""
        self.last = page
        self._asked = {one: asked for one, asked in self._asked.items() if one < page}
        self._again = [one for one in self._again if one < page]
        heapq.heapify(self._again)
