"""What a supernode answers to who follows the ledger: the next updates, a snapshot, or why neither.

Pure. The other side of this rule is `nm_bus.core.ledger.follower`.
"""

from nm_bus.core.ledger.chain import GENESIS
from nm_bus.core.ledger.feed import Feed, forward
from nm_bus.core.ledger.state import State
from nm_bus.core.pages import first_page
from nm_bus.messages import Sync, Synced

MOST_UPDATES = 1_000
MOST_ENTRIES = 5_000
"""What a page holds at most, however small each is."""


def synced(question: Sync, state: State, feed: Feed) -> Synced:
    """Answer a follower from what was applied here.

    `lag`: it is further than this supernode, so it waits or asks another one. `reset`: its history
    is not this one. Who names no head, the empty text, is believed; who has nothing yet, or less
    than the feed still holds, gets a snapshot. A snapshot's pages are cut from the state as it is
    when each is asked for, and lead to the revision of the first one.
    """
    if (question.epoch, question.revision) > (state.epoch, state.revision):
        return _answer("lag", state)
    if question.after is not None or _has_nothing(question):
        return _snapshot(state, question.after or "")
    if question.epoch < state.epoch:
        return _answer("reset", state)
    head = _head_at(question.revision, state, feed)
    if head is None:
        return _snapshot(state, "")
    if question.head not in ("", head):
        return _answer("reset", state)
    updates, more = first_page(forward(feed, question.revision), MOST_UPDATES)
    return Synced("updates", state.epoch, state.revision, state.head, updates, more=more)


def _answer(word: str, state: State) -> Synced:
    return Synced(word, state.epoch, state.revision, state.head)


def _has_nothing(question: Sync) -> bool:
    return question.revision == 0 and question.head == GENESIS


def _snapshot(state: State, after: str) -> Synced:
    entries, more = first_page(state.under("", after), MOST_ENTRIES)
    return Synced("snapshot", state.epoch, state.revision, state.head, entries=entries, more=more)


def _head_at(revision: int, state: State, feed: Feed) -> str | None:
    """The head after a revision; None when the feed does not reach back to it."""
    if revision == state.revision:
        return state.head
    following = feed.updates(revision, 1)
    if revision < feed.feed_from or not following or following[0].revision != revision + 1:
        return None
    return following[0].previous
