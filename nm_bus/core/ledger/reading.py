"""What a supernode answers to a question about the ledger's entries and its past. Pure."""

from collections.abc import Iterator

from nm_bus.codes import BAD_REQUEST, UNKNOWN_KEY
from nm_bus.core.ledger.feed import Feed, backward, forward, place_after, place_now
from nm_bus.core.ledger.keys import why_no_feed
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.ledger.state import State
from nm_bus.core.pages import first_page
from nm_bus.messages import Entry, FollowedFeed, NodeId, Page, Read, Update


def page(question: Read, state: State, feed: Feed) -> Page | Refusal:
    """Answer `entry`, `entries`, `updates` or `place` from what is applied here, in pages."""
    match question.what:
        case "entry":
            entry = state.get(question.key)
            if entry is None:
                return Refusal(UNKNOWN_KEY, f"there is no {question.key or 'key without a name'}")
            return _page(state, entries=(entry,))
        case "entries":
            found = state.under(question.key, question.after)
            entries, more = first_page(found, question.limit)
            return _page(state, entries=entries, more=more)
        case "updates":
            updates, more = first_page(_past(question, feed), question.limit)
            kept = feed.kept_of(question.key, without_locks=question.without_locks)
            return _page(state, updates=updates, more=more, kept=kept)
        case "place":
            return _place(question, state, feed)
        case _:
            known = "entry, entries, updates, place, answer or ledger"
            return Refusal(BAD_REQUEST, f"what is {question.what!r}; use {known}")


def _place(question: Read, state: State, feed: Feed) -> Page | Refusal:
    name = question.key
    if flaw := why_no_feed(name):
        return Refusal(BAD_REQUEST, flaw)
    if question.newest_first:
        return _page(state, place=place_now(name, state))
    return _page(state, place=place_after(name, question.since, state, feed))


def _past(question: Read, feed: Feed) -> Iterator[Update]:
    way = backward if question.newest_first else forward
    return way(feed, question.since, question.key, without_locks=question.without_locks)


def _page(
    state: State,
    *,
    entries: tuple[Entry, ...] = (),
    updates: tuple[Update, ...] = (),
    more: bool = False,
    kept: tuple[int, tuple[NodeId, ...]] = (0, ()),
    place: FollowedFeed | None = None,
) -> Page:
    found = (entries, updates, more)
    return Page(state.revision, state.head, state.epoch, *found, *kept, place)


def is_whole(question: Read, page: Page) -> bool:
    """Whether a page of updates lacks nothing that another supernode may have."""
    if question.newest_first:
        reached = page.updates[-1].revision if page.more and page.updates else 0
        return reached > page.kept_from or page.kept_from == 0
    return question.since >= page.kept_from
