"""The past that a supernode lacks, fetched from its peers in the background, and given to them.

One that began from a snapshot has only what came since. A page at a time comes over the bulk link,
is held to the hash chains of its feeds and written down, from the newest missing update on back. So
what is missing can be told from the file, and goes on after a restart. What no peer keeps any more
stays missing, and is said.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from nm_agents.supernode.ledger.post import Post
from nm_bus.core.ledger.earlier import (
    EVERY,
    MOST_KEYS,
    ChainEnd,
    Joined,
    Keeping,
    Whereto,
    joined,
    page_of,
    reached,
)
from nm_bus.core.ledger.kept import GROUPS, group_of, groups_asked, kept_from
from nm_bus.core.ledger.keys import feed_of
from nm_bus.core.ledger.state import State
from nm_bus.messages import Beat, Earlier, FetchEarlier, NodeId, Seconds
from nm_bus.storage.ledger import NEWCOMER, SqliteLedger

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class EarlierUpdates:
    """What one supernode keeps of the past, and what its peers keep."""

    store: SqliteLedger
    post: Post
    _keeping: Keeping = field(default_factory=Keeping)
    _given: dict[NodeId, Seconds] = field(default_factory=dict)

    @property
    def _own(self) -> dict[str, int]:
        return self.store.position.kept_from

    def told(self) -> dict[str, int] | None:
        """What the peers are told; None while nothing is known here."""
        return None if self.store.identity.epoch == NEWCOMER else self._own

    def heard(self, peer: NodeId, beat: Beat, now: Seconds) -> None:
        """A peer says how far back it keeps the past."""
        self._keeping.heard(peer, beat.kept_from, now)

    def kept_of(
        self, key: str, now: Seconds, *, without_locks: bool
    ) -> tuple[int, tuple[NodeId, ...]]:
        """See `Feed`."""
        if key and self._is_whole(key):
            return 0, ()
        groups = groups_asked(key, without_locks=without_locks)
        since = kept_from(self._own, groups)
        return since, self._keeping.by(self._own, groups, now) if since else ()

    def _is_whole(self, key: str) -> bool:
        """Whether the only feed that has changes of a key is here from its first update on."""
        feed = feed_of(key)
        alone = groups_asked(key, without_locks=False) == (group_of(feed),)
        return alone and self.store.past.kept_from(feed) == 0

    # --- what is missing here

    def tick(self, now: Seconds) -> None:
        """Ask for the next page, if one is due."""
        if self._own and self.store.identity.epoch != NEWCOMER:
            asked = self._keeping.due(self._own, self.store.past.has_room, now)
            if asked is not None:
                self.post.tell(*asked)

    def take(self, peer: NodeId, step: FetchEarlier | Earlier, state: State, now: Seconds) -> None:
        """Take a page, as far as it fits what is here; or give one."""
        if isinstance(step, Earlier):
            self._take(peer, step, state, now)
        else:
            self._give(peer, step, state.revision, now)

    def _take(self, peer: NodeId, page: Earlier, state: State, now: Seconds) -> None:
        if page.group not in GROUPS or not self._keeping.is_answer(peer, page, self._own):
            return
        to = Whereto(state.project, state.epoch, lambda feed: self._missing(feed, state))
        found = joined(page, to)
        own = self._own[page.group]
        since = self._kept(page, found, state)
        if found.flaw:
            _LOG.warning("the past that %s sent cannot be taken: %s", peer, found.flaw)
        if found.flaw or since >= own:
            self._keeping.of_no_use(peer, page.group, now)
        if not since:
            _LOG.info("ledger: the past of %s is whole", page.group)

    def _kept(self, page: Earlier, found: Joined, state: State) -> int:
        updates = [(one.update, one.keys) for one in found.updates]
        with self.store.transaction():
            self.store.past.add(updates)
            is_first = self._has_all(page.group, state) if page.since == 0 else False
            since = reached(page, found, self._own[page.group], is_first=is_first)
            self.store.keep_since({page.group: since})
        return since

    def _missing(self, feed: str, state: State) -> ChainEnd:
        """What comes before all that is known of a feed."""
        first = self.store.past.first_of(feed)
        if first is not None:
            return ChainEnd(first.place.number - 1, first.place.previous)
        last = state.feeds.get(feed)
        return ChainEnd(last.number, last.head) if last else ChainEnd(0, "")

    def _has_all(self, group: str, state: State) -> bool:
        return not any(map(self.store.past.kept_from, _feeds_of(group, state)))

    # --- what others lack

    def _give(self, peer: NodeId, asked: FetchEarlier, revision: int, now: Seconds) -> None:
        """Send a page, not more often than one may be asked for; nothing to who is further than
        this supernode, which is at `revision`."""
        is_early = now - self._given.get(peer, float("-inf")) < EVERY / 2
        if asked.group not in GROUPS or asked.before > revision + 1 or is_early:
            return
        self._given = {who: at for who, at in self._given.items() if now - at < EVERY}
        self._given[peer] = now
        earlier = self.store.past.earlier(asked.group, asked.before, MOST_KEYS)
        self.post.tell(peer, page_of(asked, earlier, self._own.get(asked.group, 0)))


def _feeds_of(group: str, state: State) -> Iterable[str]:
    return [feed for feed in state.feeds if group_of(feed) == group]


def lost_with(state: State) -> dict[str, int]:
    """What a snapshot leaves of the past: nothing of the groups that had changes before it."""
    return {group_of(feed): state.revision for feed in state.feeds}
