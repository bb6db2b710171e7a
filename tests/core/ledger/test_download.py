"""Which pages are asked for, when again, and that a snapshot arrives over any link in its time."""

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nm_bus.core.ledger.cut import PAGE_BYTES
from nm_bus.core.ledger.download import (
    FIRST,
    LEAST,
    LONGEST,
    MOST,
    MOST_SILENT,
    SHORTEST,
    SILENT,
    Download,
)
from nm_bus.messages import Seconds
from nm_bus.testing.clock import VirtualClock

MIB = 1024**2
TICK: Seconds = 0.375
DELAY: Seconds = 0.05
EXPIRES: Seconds = 60.0


def download(now: Seconds = 0.0) -> Download:
    return Download("sn1#genesis", "n.1", now, lambda: 0.0)


def test_a_few_pages_are_asked_for_first_and_one_more_for_each_that_comes() -> None:
    pages = download()
    assert pages.due(0.0) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert pages.due(0.1) == []
    assert pages.take(0, 1, 0.2, last=False)
    assert pages.due(0.2) == [(4, 5), (5, 6)], "one for the page that came, one since it came soon"


def test_the_more_come_the_more_are_under_way_up_to_a_limit() -> None:
    pages, now, under_way = download(), 0.0, dict[int, int]()
    for _ in range(1_000):
        under_way |= pages.due(now)
        assert len(under_way) <= MOST
        now += 0.001
        page = min(under_way)
        assert pages.take(page, under_way.pop(page), now, last=False)
    assert len(under_way) == MOST - 1
    now += 100.0
    assert len(pages.due(now)) == LEAST, "nothing came lately"


def test_a_page_that_does_not_come_is_asked_for_again_with_ever_more_patience() -> None:
    pages, asked, now = download(), list[Seconds](), 0.0
    while now < 300.0:
        if 0 in dict(pages.due(now)):
            asked.append(now)
        now += 0.25
    waits = [later - before for before, later in pairwise(asked)]
    assert waits[:3] == [FIRST, 2 * FIRST, LONGEST]
    assert set(waits[3:]) == {LONGEST}


def test_patience_follows_from_how_long_pages_take() -> None:
    pages, now = download(), 0.0
    for _ in range(200):
        for page, question in pages.due(now):
            now += 0.01
            pages.take(page, question, now, last=False)
    lost = pages.due(now)
    assert pages.due(now + SHORTEST - 0.01) == []
    assert pages.due(now + SHORTEST)[0][0] == lost[0][0]


def test_patience_is_not_all_alike() -> None:
    pages = Download("sn1#genesis", "n.1", 0.0, lambda: 1.0)
    pages.due(0.0)
    assert pages.due(FIRST) == []
    assert [page for page, _ in pages.due(1.25 * FIRST)] == [0, 1, 2, 3]


def test_a_page_that_many_have_overtaken_is_asked_for_again_at_once() -> None:
    pages = download()
    asked = pages.due(0.0)
    for page, question in asked[1:]:
        pages.take(page, question, 0.1, last=False)
    more = dict(pages.due(0.1))
    assert 0 not in more
    pages.take(4, more[4], 0.2, last=False)
    assert 0 in dict(pages.due(0.2))


def test_an_answer_to_an_earlier_question_tells_how_long_that_one_took() -> None:
    """Who asks twice over a slow link learns that it is slow, and stops to."""
    pages = download()
    pages.due(0.0)
    again = pages.due(FIRST)
    assert len(again) == LEAST
    for page in range(4):
        assert pages.take(page, page + 1, 10.0, last=False)
    (page, _), *_ = pages.due(10.0)
    assert page not in dict(pages.due(20.0)), "it waits at least as long as the others took"


def test_a_page_counts_once_and_only_if_it_was_asked_for() -> None:
    pages = download()
    pages.due(0.0)
    assert not pages.take(4, 5, 0.1, last=False), "it was not asked for"
    assert pages.take(1, 2, 0.1, last=False)
    assert not pages.take(1, 2, 0.2, last=False)
    assert pages.take(2, 3, 0.2, last=True)
    assert not pages.take(3, 4, 0.2, last=False), "beyond the last"
    assert not pages.is_whole
    assert pages.take(0, 1, 0.3, last=False)
    assert pages.is_whole
    assert pages.due(100.0) == []


@pytest.mark.parametrize(
    ("spent", "patience"), [(0.0, SILENT), (600.0, 150.0), (36_000.0, MOST_SILENT)]
)
def test_a_silent_supplier_gives_way_the_later_the_more_it_has_given(
    spent: Seconds, patience: Seconds
) -> None:
    pages = download()
    pages.due(0.0)
    pages.take(0, 1, spent, last=False)
    assert not pages.is_silent(spent + patience)
    assert pages.is_silent(spent + patience + 0.1)


# --- over a link


@dataclass
class ThinLink:
    """A way there and back: `speed` in bits a second, `loss` of what goes either way. Of pages only
    the sizes are there."""

    clock: VirtualClock
    random: Random
    speed: float
    loss: float
    pages: int
    page: int
    free: Seconds = 0.0
    came: list[int] = field(default_factory=list)
    down: bool = False

    def start(self, download: Download) -> None:
        self.download = download
        self.tick()

    def tick(self) -> None:
        self.ask()
        self.clock.later(TICK, self.tick)

    def ask(self) -> None:
        for page, question in self.download.due(self.clock.now()):
            if not self.is_lost():
                self.clock.later(DELAY, partial(self.give, page, question))

    def give(self, page: int, question: int) -> None:
        now = self.clock.now()
        begins = max(self.free, now)
        if page >= self.pages or begins - now > EXPIRES:
            return
        self.free = begins + 8 * self.page / self.speed
        if not self.is_lost():
            self.clock.later(self.free - now + DELAY, partial(self.take, page, question))

    def take(self, page: int, question: int) -> None:
        self.came.append(page)
        if not self.down:
            is_last = page == self.pages - 1
            self.download.take(page, question, self.clock.now(), last=is_last)
            self.ask()

    def is_lost(self) -> bool:
        return self.down or self.random.random() < self.loss


def thin_link(speed: float, loss: float, size: int, seed: int) -> ThinLink:
    """A state that cannot be compressed: each page travels in base64, in an envelope."""
    clock = VirtualClock()
    page = PAGE_BYTES * 4 // 3 + 600
    link = ThinLink(clock, Random(seed), speed, loss, -(-size // PAGE_BYTES), page)
    link.start(Download("sn1#genesis", "n.1", clock.now(), link.random.random))
    return link


@settings(max_examples=20)
@given(
    speed=st.sampled_from((1e6, 10e6, 100e6)),
    loss=st.floats(0.0, 0.2),
    size=st.sampled_from((1, 16, 64, 260)),
    seed=st.integers(0, 2**32),
)
@example(speed=1e6, loss=0.2, size=260, seed=1)
@example(speed=1e6, loss=0.0, size=260, seed=1)
@example(speed=100e6, loss=0.2, size=260, seed=1)
@example(speed=100e6, loss=0.0, size=260, seed=1)
@example(speed=10e6, loss=0.2, size=64, seed=1)
@example(speed=100e6, loss=0.2, size=1, seed=1)
def test_a_snapshot_arrives_in_three_times_the_links_own_time_and_two_minutes(
    speed: float, loss: float, size: int, seed: int
) -> None:
    """The minutes are for the last page, which a bad link may lose time and again."""
    link = thin_link(speed, loss, size * MIB, seed)
    limit = 3 * 8 * size * MIB / speed + 120.0
    link.clock.run(lambda: link.download.is_whole, limit)


@pytest.mark.parametrize("speed", [1e6, 10e6, 100e6])
def test_a_link_that_loses_nothing_carries_hardly_a_page_twice(speed: float) -> None:
    link = thin_link(speed, 0.0, 64 * MIB, 1)
    link.clock.run(lambda: link.download.is_whole)
    assert len(link.came) <= 1.02 * link.pages


def test_after_an_outage_it_goes_on_from_where_it_was() -> None:
    link = thin_link(10e6, 0.0, 64 * MIB, 1)
    link.clock.run(lambda: len(link.came) == link.pages // 2)
    link.down = True
    link.clock.advance(200.0)
    before, link.came, link.down = len(link.came), [], False
    link.clock.run(lambda: link.download.is_whole, 100.0)
    assert len(link.came) <= link.pages - before + 2 * MOST
