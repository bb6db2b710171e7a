"""What a supernode that is behind is given: a page of the log, or the state when that is gone.

A state is offered once and goes page by page, as it is asked for. Of what was offered, the log is
kept: who takes an hour to fetch a state goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from nm_agents.supernode.ledger.post import Post
from nm_bus.core.ledger.cut import FORM, Cut
from nm_bus.core.ledger.state import StateSnapshot
from nm_bus.messages import Log, Mark, NodeId, Offer, Seconds, Snap, VoterId, Want
from nm_bus.messages.base import Nested
from nm_bus.storage.ledger import SqliteLedger

MOST_CUTS = 2
"""How many snapshots are held at once; the one longest not asked for gives way."""

KEPT: Seconds = 600.0
"""How long a snapshot is held that nobody asks for: a link may be down meanwhile."""


class Whole(Nested, frozen=True):
    """All that a supernode needs to go on after a slot. `file` is the identity of the project file
    that the ledger began with, `size` how many bytes the values of the state have, `marks` how it
    came there of late."""

    author: VoterId
    state: StateSnapshot
    file: str = ""
    size: int = 0
    marks: tuple[Mark, ...] = ()


@dataclass(slots=True)
class HeldSnapshot:
    """A snapshot that may be asked for."""

    offer: Offer
    cut: Cut
    asked: Seconds


@dataclass(slots=True)
class Supplies:
    """One supernode's supplies for the others; `whole` is its state as of the last slot that is on
    disk. Who wants more asks again."""

    store: SqliteLedger
    post: Post
    whole: Callable[[], Whole]
    _held: dict[str, HeldSnapshot] = field(default_factory=dict)
    _count: int = 0

    def send(self, node: NodeId, slot: int, now: Seconds) -> None:
        """Send what was decided from a slot on, as far as a page goes; or offer a snapshot."""
        batches = self.store.batches(slot)
        if batches:
            before = self.store.marks(slot - 1, 1)
            goes_on = before[0] if before and before[0].height == slot - 1 else None
            self.post.tell(node, Log(slot, batches, self.store.position.height, goes_on))
        elif batches is None:
            self._offer(node, now)

    def give(self, node: NodeId, want: Want, now: Seconds) -> None:
        """Send a page of a snapshot; if that is gone, offer another one."""
        held = self._held.pop(want.cut, None)
        if held is None:
            self._offer(node, now)
            return
        held.asked = now
        self._held[want.cut] = held
        page = held.cut.page(want.page)
        if page is not None:
            body, last = page
            height = self.store.position.height
            snap = Snap(want.cut, want.page, want.question, last, body, height)
            self.post.tell(node, snap)

    def forget_old(self, now: Seconds) -> None:
        """Let go of what nobody asks for any more."""
        self._hold({name: one for name, one in self._held.items() if now - one.asked < KEPT})

    def _offer(self, node: NodeId, now: Seconds) -> None:
        """Offer the last snapshot, or a new one when the log does not go on from that."""
        if self.store.position.height < 0:
            return
        held = next(reversed(self._held.values()), None)
        if held is None or not self.store.goes_on_after(held.offer.slot):
            held = self._cut(now)
        held.asked = now
        height = self.store.position.height
        self.post.tell(node, msgspec.structs.replace(held.offer, height=height))

    def _cut(self, now: Seconds) -> HeldSnapshot:
        self._count += 1
        whole, slot = self.whole(), self.store.position.height
        name, cut = f"{self.store.identity.nonce[:16]}.{self._count}", Cut(whole.state)
        about = msgspec.json.encode(msgspec.structs.replace(whole, state=cut.about)).decode()
        held = HeldSnapshot(Offer(name, slot, FORM, whole.size, about, slot), cut, now)
        self._hold(dict([*self._held.items(), (name, held)][-MOST_CUTS:]))
        return held

    def _hold(self, held: dict[str, HeldSnapshot]) -> None:
        """Hold these, and the log after the first of them."""
        self._held = held
        self.store.wanted = min((one.offer.slot for one in held.values()), default=None)
