"""What a supernode still has of the past: the updates that it applied, from some revision on."""

from collections.abc import Iterator
from typing import Protocol

from nm_bus.core.ledger.chain import GENESIS
from nm_bus.core.ledger.state import State
from nm_bus.messages import FeedPlace, FollowedFeed, NodeId, Update

CHUNK = 64
"""How many updates are fetched at once: a page may need fewer, since each may be large."""

WHOLE = ""
"""Stands where the name of a feed does, for all of them together."""


class Feed(Protocol):
    """The updates that are kept, by revision, by key, and by their number in a feed."""

    @property
    def feed_from(self) -> int:
        """The revision after which all of them are there."""

    def kept_of(self, key: str, *, without_locks: bool = False) -> tuple[int, tuple[NodeId, ...]]:
        """The revision after which all updates of a key (empty: of all) are there, and who has
        more of them."""

    def updates(
        self, since: int, limit: int, key: str = "", *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions after `since`, of one key or of all, oldest first."""

    def history(
        self, key: str, before: int, limit: int, *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions before one (0: from the newest on), newest first."""

    def feed_updates(self, feed: str, since: int, limit: int) -> list[Update]:
        """The updates of one feed after its number `since`, oldest first."""

    def feed_kept_from(self, feed: str) -> int:
        """The number in one feed after which all of its updates are there."""

    def feed_after(self, feed: str, revision: int) -> Update | None:
        """The first update of one feed after a revision, of those that are kept."""


def forward(
    feed: Feed, since: int, key: str = "", *, without_locks: bool = False
) -> Iterator[Update]:
    """All updates after a revision, oldest first."""
    while found := feed.updates(since, CHUNK, key, without_locks=without_locks):
        yield from found
        since = found[-1].revision


def feed_forward(feed: Feed, name: str, since: int) -> Iterator[Update]:
    """All updates of one feed after its number, oldest first."""
    while found := feed.feed_updates(name, since, CHUNK):
        yield from found
        since = found[-1].place.number


def backward(
    feed: Feed, before: int, key: str = "", *, without_locks: bool = False
) -> Iterator[Update]:
    """All updates before a revision (0: from the newest on), newest first."""
    while found := feed.history(key, before, CHUNK, without_locks=without_locks):
        yield from found
        before = found[-1].revision
        if before <= 1:
            return


def last_place(name: str, state: State) -> FeedPlace:
    """Where a feed is: of one that was never written its beginning, number 0."""
    return state.feeds.get(name, FeedPlace(name, 0, GENESIS, GENESIS))


def place_after(name: str, revision: int, state: State, feed: Feed) -> FollowedFeed | None:
    """Where a feed was after a revision; None where that cannot be told any more."""
    here, following = last_place(name, state), feed.feed_after(name, revision)
    number, head = here.number, here.head
    if following is not None:
        number, head = following.place.number - 1, following.place.previous
    # what was between this revision and the next update that is kept may be gone
    is_known = number == 0 or number > feed.feed_kept_from(name)
    is_known = is_known or revision >= min(feed.kept_of(name)[0], state.revision)
    return FollowedFeed(name, state.epoch, number, head) if is_known else None


def place_now(name: str, state: State) -> FollowedFeed:
    """Where a feed is now."""
    here = last_place(name, state)
    return FollowedFeed(name, state.epoch, here.number, here.head)
