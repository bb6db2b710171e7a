"""Which feed a component means, and from where on it follows it."""

from typing import Protocol

from nm_bus.codes import BAD_VALUE
from nm_bus.core.ledger.follower import Place
from nm_bus.core.ledger.keys import feed_of_component, why_no_feed
from nm_bus.errors import RefusedError


class Places(Protocol):
    """Who knows where feeds are."""

    def place(self, feed: str = "", after: int | None = None) -> Place:
        """Where a feed is now, or was after a revision."""


def feed_named(component: str | None, feed: str | None) -> str:
    """The feed of a component's documents, or the one that is named; empty for all.

    Raises RefusedError where there can be no such feed.
    """
    if component and feed is not None:
        raise RefusedError("name a component or a feed to follow, not both", BAD_VALUE)
    name = feed_of_component(component) if component else feed or ""
    flaw = why_no_feed(name) if name else ""
    if flaw:
        raise RefusedError(flaw, BAD_VALUE)
    return name


def start_in(places: Places, feed: str, since: Place | int | None) -> Place:
    """Where to begin in a feed. Raises RefusedError for a place in another one."""
    if not isinstance(since, Place):
        since = places.place(feed, since)
    if since.is_nowhere:
        return Place(feed=feed)
    if since.feed != feed:
        what = f"a place in {_said(since.feed)} is none in {_said(feed)}"
        raise RefusedError(f"{what}: follow with the feed that it is of", BAD_VALUE)
    return since


def _said(feed: str) -> str:
    return f"the feed {feed}" if feed else "the whole ledger"
