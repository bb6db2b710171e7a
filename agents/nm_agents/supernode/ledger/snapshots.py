"""What a supernode that is behind is sent: a page of the log, or the state when that is gone.

A snapshot goes in pages, cut here and put together there. The pages of one cut are sent again as
they are for a while, so that lost ones can be made up for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from nm_agents.supernode.ledger.post import Post
from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.ledger.state import State, StateSnapshot
from nm_bus.messages import Log, NodeId, Seconds, Snap, VoterId
from nm_bus.messages.base import Nested
from nm_bus.storage.ledger import NEWCOMER, SqliteLedger

PIECE = 256 * 1024
"""How many characters go in a page: at most 1 MiB of UTF-8."""

MOST_PAGES = 2_048
"""A larger state is no state of ours."""

KEPT: Seconds = 60.0
"""How long a cut is good for, and how long a page is waited for."""

AGAIN: Seconds = 5.0
"""One supernode gets the pages no more often than this."""


class Whole(Nested, frozen=True):
    """All that a supernode needs to go on after a slot. `file` is the identity of the project file
    that the ledger began with."""

    author: VoterId
    state: StateSnapshot
    file: str = ""


def whole_of(text: str, state: State) -> Whole | str:
    """What a snapshot's text holds, if it may take the place of a state; else why not."""
    whole = attempt(lambda: msgspec.json.decode(text, type=Whole))
    if isinstance(whole, Unreadable):
        return whole.reason
    found = whole.state
    if found.project != state.project or state.epoch not in (NEWCOMER, found.epoch):
        return "is of another project or epoch"
    return whole


@dataclass(slots=True)
class Cutting:
    """The last cut of the own state."""

    _slot: int = 0
    _text: str = ""
    _since: Seconds | None = None
    _sent: dict[NodeId, Seconds] = field(default_factory=dict)

    def is_due(self, node: NodeId, now: Seconds) -> bool:
        """Whether a supernode that asks is sent the pages; if so it was."""
        if now - self._sent.get(node, now - AGAIN) < AGAIN:
            return False
        self._sent[node] = now
        return True

    def is_fresh(self, now: Seconds) -> bool:
        """Whether the last cut will do."""
        return self._since is not None and now - self._since < KEPT

    def cut(self, slot: int, whole: Whole, now: Seconds) -> None:
        """Cut the state as it is after a slot."""
        self._slot, self._since = slot, now
        self._text = msgspec.json.encode(whole).decode()

    def pages(self, height: int) -> Iterator[Snap]:
        """The pages of the last cut; `height` is how far this supernode is now."""
        pages = -(-len(self._text) // PIECE)
        for page in range(pages):
            text = self._text[page * PIECE : (page + 1) * PIECE]
            yield Snap(self._slot, page, pages, text, height)

    def forget_old(self, now: Seconds) -> None:
        """Let go of a cut that nobody may ask for any more."""
        if not self.is_fresh(now):
            self._since, self._text = None, ""
            self._sent.clear()


@dataclass(slots=True)
class Assembly:
    """The pages of one snapshot at a time."""

    _of: tuple[VoterId, int, int] | None = None
    _pages: dict[int, str] = field(default_factory=dict)
    _since: Seconds = 0.0

    def take(self, sender: VoterId, snap: Snap, now: Seconds) -> str | None:
        """Take a page; gives the whole text once all are there.

        Another snapshot takes the place of one that is stale, or of the same sender's earlier one.
        """
        if snap.pages > MOST_PAGES or snap.page >= snap.pages:
            return None
        this = (sender, snap.slot, snap.pages)
        if this != self._of:
            if not self._gives_way(sender, snap.slot, now):
                return None
            self._of, self._pages = this, {}
        self._since = now
        self._pages[snap.page] = snap.text
        if len(self._pages) < snap.pages:
            return None
        text = "".join(self._pages[page] for page in range(snap.pages))
        self.forget()
        return text

    def forget(self) -> None:
        """Drop what there is."""
        self._of, self._pages = None, {}

    def forget_old(self, now: Seconds) -> None:
        """Drop what has waited too long for its other pages."""
        if now - self._since >= KEPT:
            self.forget()

    def _gives_way(self, sender: VoterId, slot: int, now: Seconds) -> bool:
        if self._of is None or now - self._since >= KEPT:
            return True
        return self._of[0] == sender and self._of[1] < slot


@dataclass(slots=True)
class Supplies:
    """One supernode's supplies for the others. Who wants more asks again."""

    store: SqliteLedger
    post: Post
    _cutting: Cutting = field(default_factory=Cutting)

    def send(self, node: NodeId, slot: int, whole: Callable[[], Whole], now: Seconds) -> None:
        """Send what was decided from a slot on, as far as a page goes; or all pages of `whole`,
        which is as of the last slot that is on disk."""
        height, batches = self.store.position.height, self.store.batches(slot)
        if batches:
            before = self.store.marks(slot - 1, 1)
            goes_on = before[0] if before and before[0].height == slot - 1 else None
            self.post.tell(node, Log(slot, batches, height, goes_on))
        elif batches is None and self._cutting.is_due(node, now):
            if not self._cutting.is_fresh(now):
                self._cutting.cut(height, whole(), now)
            for page in self._cutting.pages(height):
                self.post.tell(node, page)

    def forget_old(self, now: Seconds) -> None:
        """Let go of what nobody may ask for any more."""
        self._cutting.forget_old(now)
