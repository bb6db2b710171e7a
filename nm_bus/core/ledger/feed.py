"""What a supernode still has of the past: the updates that it applied, from some revision on."""

from collections.abc import Iterator
from typing import Protocol

from nm_bus.messages import NodeId, Update

CHUNK = 64
"""How many updates are fetched at once: a page may need fewer, since each may be large."""


class Feed(Protocol):
    """The updates that are kept, by revision and by key."""

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


def forward(
    feed: Feed, since: int, key: str = "", *, without_locks: bool = False
) -> Iterator[Update]:
    """All updates after a revision, oldest first."""
    while found := feed.updates(since, CHUNK, key, without_locks=without_locks):
        yield from found
        since = found[-1].revision


def backward(
    feed: Feed, before: int, key: str = "", *, without_locks: bool = False
) -> Iterator[Update]:
    """All updates before a revision (0: from the newest on), newest first."""
    while found := feed.history(key, before, CHUNK, without_locks=without_locks):
        yield from found
        before = found[-1].revision
        if before <= 1:
            return
