"""The updates from before what a supernode keeps: of whom to ask for them, and whether they fit.

Pure. One page is asked for at a time, from the newest missing update on back. How far each
supernode keeps each group of feeds is said with its beats, so nobody is asked for what it has not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from nm_bus.core.ledger.chain import feed_head_of, head_of
from nm_bus.core.ledger.kept import GROUPS, group_of, kept_from
from nm_bus.core.ledger.keys import feed_of
from nm_bus.core.pages import first_page
from nm_bus.messages import Earlier, EarlierUpdate, FetchEarlier, NodeId, Seconds, Update

EVERY: Seconds = 1.0
"""A page is asked for no more often than this."""

PATIENCE: Seconds = 20.0
"""How long a page may take before another supernode is asked."""

DOUBT: Seconds = 600.0
"""How long a supernode is not asked about a group after a page that was of no use."""

PAUSE: Seconds = 60.0
"""How long it is not asked about a group after a page that did not come."""

FRESH: Seconds = 60.0
"""How long a supernode counts that is not heard any more."""

MOST_PEERS = 1_000
"""How many supernodes are remembered."""

MOST_UPDATES, PAGE_BYTES = 200, 256 * 1024
"""How much of the past goes in a page; one update more may stand on it."""

MOST_KEYS = 1_000
"""How many keys of an update go with it."""


@dataclass(slots=True)
class Keeping:
    """What is known of who keeps what, and the page that is on its way."""

    _heard: dict[NodeId, tuple[Seconds, Mapping[str, int]]] = field(default_factory=dict)
    _doubted: dict[tuple[NodeId, str], Seconds] = field(default_factory=dict)
    _asked: tuple[NodeId, FetchEarlier, Seconds] | None = None
    _since: Seconds = float("-inf")

    def heard(self, peer: NodeId, kept: Mapping[str, int] | None, now: Seconds) -> None:
        """A peer says from which revision on it keeps each group; None: it knows nothing yet."""
        self._heard.pop(peer, None)
        if kept is not None:
            self._heard[peer] = now, kept
        if len(self._heard) > MOST_PEERS:
            del self._heard[next(iter(self._heard))]

    def by(self, own: Mapping[str, int], groups: Iterable[str], now: Seconds) -> tuple[NodeId, ...]:
        """Who has more of some groups, in the order of their names."""
        groups, found = tuple(groups), []
        for peer, (since, kept) in self._heard.items():
            if now - since < FRESH and kept_from(kept, groups) < kept_from(own, groups):
                found.append(peer)
        return tuple(sorted(found))

    def due(
        self, own: Mapping[str, int], has_room: Callable[[str], bool], now: Seconds
    ) -> tuple[NodeId, FetchEarlier] | None:
        """Whom to ask now, and for what; None while a page is on its way, or nobody has more."""
        if self._asked is not None:
            peer, question, since = self._asked
            if now - since < PATIENCE:
                return None
            self._doubt(peer, question.group, now, PAUSE)
        if now - self._since < EVERY:
            return None
        for group in GROUPS:
            peers = self._able(own, group, now)
            if peers and has_room(group):
                return self._ask(peers, FetchEarlier(group, own[group] + 1), now)
        return None

    def _able(self, own: Mapping[str, int], group: str, now: Seconds) -> list[NodeId]:
        """Who is to be asked about a group: who has the most of it comes first."""
        found = [
            (self._heard[peer][1].get(group, 0), peer)
            for peer in self.by(own, (group,), now)
            if self._doubted.get((peer, group), now) <= now
        ]
        return [peer for _, peer in sorted(found)]

    def _ask(
        self, peers: list[NodeId], question: FetchEarlier, now: Seconds
    ) -> tuple[NodeId, FetchEarlier]:
        self._since = now
        self._asked = peers[0], question, now
        return peers[0], question

    def is_answer(self, peer: NodeId, page: Earlier, own: Mapping[str, int]) -> bool:
        """Whether a page is the one that was asked for, and of use still; no other one is awaited
        then."""
        question = FetchEarlier(page.group, page.before)
        if self._asked is None or self._asked[:2] != (peer, question):
            return False
        self._asked = None
        return own.get(page.group, 0) + 1 == page.before

    def of_no_use(self, peer: NodeId, group: str, now: Seconds) -> None:
        """A page was of no use: who sent it is not asked about the group again for a while."""
        self._doubt(peer, group, now, DOUBT)

    def _doubt(self, peer: NodeId, group: str, now: Seconds, pause: Seconds) -> None:
        self._asked = None
        kept = {who: until for who, until in self._doubted.items() if until > now}
        self._doubted = {**kept, (peer, group): now + pause}


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """What the next earlier update of a feed must be: its number in it, and the feed's head."""

    number: int
    head: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The updates of a page that fit what is here, and what is wrong with the first one that does
    not."""

    updates: tuple[EarlierUpdate, ...]
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Whereto:
    """What a page continues: the project, its epoch, and of each feed the end that is needed."""

    project: str
    epoch: int
    end: Callable[[str], ChainEnd]


def joined(page: Earlier, to: Whereto) -> Joined:
    """Hold a page to the hash chains of its feeds, from what is here on back. Nothing that a page
    holds can make it raise."""
    ends: dict[str, ChainEnd] = {}
    taken: list[EarlierUpdate] = []
    below = page.before
    for one in page.updates:
        update, place = one.update, one.update.place
        flaw = _misplaced(update, to, page.group, below)
        flaw = flaw or _unfit(update, ends.get(place.feed) or to.end(place.feed))
        if flaw:
            return Joined(tuple(taken), f"revision {update.revision} {flaw}")
        ends[place.feed] = ChainEnd(place.number - 1, place.previous)
        below = update.revision
        taken.append(one)
    return Joined(tuple(taken))


def _misplaced(update: Update, to: Whereto, group: str, below: int) -> str:
    """What no hash covers, or what is not asked for."""
    if update.project != to.project or not 0 < update.epoch <= to.epoch:
        return f"is of another project or epoch than epoch {to.epoch} of {to.project}"
    feed = update.place.feed
    if group_of(feed) != group or feed_of(update.change.key) != feed:
        return f"is not of {group}"
    return "" if 0 < update.revision < below else f"does not come before revision {below}"


def _unfit(update: Update, needed: ChainEnd) -> str:
    place = update.place
    if (place.number, place.head) != (needed.number, needed.head):
        return f"is not the one before what is known of {place.feed}"
    if place.head != feed_head_of(update) or update.head != head_of(update):
        return "has a hash that is not that of its change"
    return ""


def reached(page: Earlier, found: Joined, own: int, *, is_first: bool) -> int:
    """After which revision the group is whole with what fits of a page; `own` is that without it.
    `is_first`: with it, each feed of the group has its first update."""
    if is_first:
        return 0
    lowest = found.updates[-1].update.revision - 1 if found.updates else own
    return lowest if found.flaw or page.since == 0 else min(lowest, page.since)


def page_of(question: FetchEarlier, earlier: Iterator[EarlierUpdate], own: int) -> Earlier:
    """The page that a question asks for; `earlier` gives what is kept, the newest first, and `own`
    is the revision after which all of it is."""
    updates, more = first_page(earlier, MOST_UPDATES, PAGE_BYTES)
    since = updates[-1].update.revision - 1 if more else min(own, question.before - 1)
    return Earlier(question.group, question.before, since, updates)
