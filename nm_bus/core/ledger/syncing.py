"""What a supernode answers to who follows the ledger: the next updates, a snapshot, or why neither.

Pure. It is the same for the whole and for one feed, whose updates, keys and place are then meant.
The other side of this rule is `nm_bus.core.ledger.follower`.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Protocol

from nm_bus.core.ledger.chain import GENESIS
from nm_bus.core.ledger.feed import Feed, feed_forward, forward, last_place
from nm_bus.core.ledger.keys import prefixes_of
from nm_bus.core.ledger.state import State
from nm_bus.core.pages import first_page
from nm_bus.messages import Entry, Sync, Synced, Update

MOST_UPDATES = 1_000
MOST_ENTRIES = 5_000
"""What a page holds at most, however small each is."""


def synced(
    question: Sync,
    state: State,
    feed: Feed,
    *,
    most_updates: int = MOST_UPDATES,
    most_entries: int = MOST_ENTRIES,
) -> Synced:
    """Answer a follower from what was applied here.

    `lag`: it is further than this supernode, so it waits or asks another one. `reset`: its history
    is not this one. Who names no head, the empty text, is believed; who has nothing yet, or less
    than is still kept, gets a snapshot. A snapshot's pages are cut from the state as it is when
    each is asked for, and lead to where the feed was at the first one.
    """
    past = _FeedPast(question.feed, state, feed) if question.feed else _WholePast(state, feed)
    if (question.epoch, question.number) > (state.epoch, past.number):
        return _answer("lag", state, past)
    if question.after is not None or past.is_nothing(question):
        return _snapshot(question, state, past, most_entries)
    if question.epoch < state.epoch:
        return _answer("reset", state, past)
    head = past.head_at(question.number)
    if head is None:
        return _snapshot(question, state, past, most_entries)
    if question.head not in ("", head):
        return _answer("reset", state, past)
    # most who ask now and then have everything: they cost no look at what is kept
    is_level = question.number == past.number
    found = iter(()) if is_level else past.updates(question.number)
    updates, more = first_page(found, most_updates)
    return _answer("updates", state, past, updates=updates, more=more)


class _Past(Protocol):
    """The whole or one feed, as far as this supernode has it."""

    number: int
    head: str

    def is_nothing(self, question: Sync) -> bool:
        """Whether who asks has nothing that could be of another history."""

    def head_at(self, number: int) -> str | None:
        """The head after a number; None when what is kept does not reach back to it."""

    def updates(self, since: int) -> Iterator[Update]:
        """What came after a number."""


class _WholePast:
    """All feeds together, counted by revisions."""

    def __init__(self, state: State, feed: Feed) -> None:
        self.number, self.head, self._feed = state.revision, state.head, feed

    def is_nothing(self, question: Sync) -> bool:
        return question.number == 0 and question.head == GENESIS

    def head_at(self, number: int) -> str | None:
        if number == self.number:
            return self.head
        following = self._feed.updates(number, 1)
        is_kept = number >= self._feed.feed_from and following
        if not is_kept or following[0].revision != number + 1:
            return None
        return following[0].previous

    def updates(self, since: int) -> Iterator[Update]:
        return forward(self._feed, since)


class _FeedPast:
    """One feed. Its beginning is the same in each history, so nobody there has another one."""

    def __init__(self, name: str, state: State, feed: Feed) -> None:
        here = last_place(name, state)
        self.number, self.head = here.number, here.head
        self._name, self._epoch, self._feed = name, state.epoch, feed

    def is_nothing(self, question: Sync) -> bool:
        return question.number == 0 and question.epoch < self._epoch

    def head_at(self, number: int) -> str | None:
        if number == self.number:
            return self.head
        following = self._feed.feed_updates(self._name, number, 1)
        is_kept = number >= self._feed.feed_kept_from(self._name) and following
        if not is_kept or following[0].place.number != number + 1:
            return None
        return following[0].place.previous

    def updates(self, since: int) -> Iterator[Update]:
        return feed_forward(self._feed, self._name, since)


def _answer(
    word: str,
    state: State,
    past: _Past,
    *,
    updates: tuple[Update, ...] = (),
    entries: tuple[Entry, ...] = (),
    more: bool = False,
) -> Synced:
    here = state.epoch, past.number, past.head
    return Synced(word, *here, state.revision, updates, entries, more)


def _snapshot(question: Sync, state: State, past: _Past, most: int) -> Synced:
    prefixes, after = prefixes_of(question.feed), question.after or ""
    found = chain.from_iterable(state.under(prefix, after) for prefix in prefixes)
    entries, more = first_page(found, most)
    return _answer("snapshot", state, past, entries=entries, more=more)
