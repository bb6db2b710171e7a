"""A ledger's history without a ledger: numbered updates, and a supernode's answers to a Sync.

For tests of those who follow. A supernode that lags is the same history at a lower `height`.
"""

from dataclasses import dataclass, field
from typing import Any

from nm_bus.core.ledger.chain import GENESIS, digest, feed_head, next_head
from nm_bus.core.ledger.follower import Place
from nm_bus.core.ledger.keys import feed_of
from nm_bus.messages import Change, Entry, FeedPlace, Micros, Sync, Synced, Update


def update_of(
    change: Change, revision: int, *, time: Micros = 0, previous: str = "p", head: str = "h"
) -> Update:
    """An update of a change, with heads that are not computed: for whoever does not verify them."""
    place = FeedPlace(feed_of(change.key), revision, previous, head)
    return Update("test", 1, revision, previous, head, time, "d", change, place)


@dataclass
class History:
    """Revisions 1..R of one epoch. `kept` is the first whose update is still there."""

    epoch: int = 1
    kept: int = 1
    page: int = 3
    updates: list[Update] = field(default_factory=list)

    @property
    def revision(self) -> int:
        """The newest revision."""
        return len(self.updates)

    def head(self, revision: int) -> str:
        """The head at a revision."""
        return self.updates[revision - 1].head if revision else GENESIS

    def set(self, key: str, content: str = "", **value: Any) -> Update:
        """The next revision: a key is set."""
        return self._next("set", key, {"content": content} | value)

    def delete(self, key: str) -> Update:
        """The next revision: a key is deleted."""
        return self._next("delete", key, None)

    def entries(self, height: int) -> dict[str, Entry]:
        """What the keys hold at a revision, in the order of the keys."""
        state: dict[str, Entry] = {}
        for update in self.updates[:height]:
            change = update.change
            state.pop(change.key, None)
            if change.value is not None:
                revision, time = update.revision, update.time
                entry = Entry(change.key, change.value, revision, change.actor, time)
                state[change.key] = entry
        return dict(sorted(state.items()))

    def feed(self, name: str, top: int | None = None) -> list[Update]:
        """The updates of a feed, or without a name all, up to a revision."""
        return [each for each in self.updates[:top] if name in ("", each.place.feed)]

    def place(self, name: str, number: int) -> Place:
        """Where a feed, or without a name the whole, is with its update of this number."""
        line = self.feed(name)
        begun = Place(self.epoch, 0, GENESIS, name)
        return begun.after(line[number - 1]) if number else begun

    def answer(self, question: Sync, height: int | None = None) -> Synced:
        """What a supernode that has applied so much (all, when not given) answers."""
        top = self.revision if height is None else height
        name, number = question.feed, question.number
        line = self.feed(name, top)
        if question.after is not None:
            return self._snapshot(name, question.after, top)
        if (question.epoch, number) > (self.epoch, len(line)):
            return self._told("lag", name, top)
        if name and number == 0 and question.epoch < self.epoch:
            return self._snapshot(name, "", top)
        if question.epoch < self.epoch or question.head != self.place(name, number).head:
            return self._told("reset", name, top)
        if number < sum(update.revision < self.kept for update in line):
            return self._snapshot(name, "", top)
        found = tuple(line[number : number + self.page])
        more = len(line) > number + self.page
        return self._told("updates", name, top, updates=found, more=more)

    def _snapshot(self, name: str, after: str, top: int) -> Synced:
        entries = self.entries(top).items()
        beyond = [e for key, e in entries if key > after and name in ("", feed_of(key))]
        page = tuple(beyond[: self.page])
        return self._told("snapshot", name, top, entries=page, more=len(beyond) > len(page))

    def _told(self, state: str, name: str, top: int, **more: Any) -> Synced:
        here = self.place(name, len(self.feed(name, top)))
        return Synced(state, self.epoch, here.number, here.head, top, **more)

    def _next(self, kind: str, key: str, value: dict[str, Any] | None) -> Update:
        number, previous = self.revision + 1, self.head(self.revision)
        change = Change(f"anna/i1/{number}", "anna", kind, key, base=number - 1, value=value)
        time, done = number * 1_000_000, digest({key: value})
        head = next_head(previous, number, time, change, done)
        place = self._place(key, head)
        update = Update("test", self.epoch, number, previous, head, time, done, change, place)
        self.updates.append(update)
        return update

    def _place(self, key: str, head: str) -> FeedPlace:
        feed = feed_of(key)
        before = [update.place for update in self.updates if update.place.feed == feed]
        number, previous = len(before) + 1, before[-1].head if before else GENESIS
        return FeedPlace(feed, number, previous, feed_head(previous, number, head))
