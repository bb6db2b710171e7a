"""Who lives by the ledger's updates, all of them or those of one feed: what to apply, what to ask.

Pure: updates and answers come in, moves go out as values. Sending, waiting between two questions
and keeping what was applied belong to the program. A place is a number with its head, so that
nothing is ever applied to another history than its own.
"""

from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from nm_bus.core.ledger.chain import GENESIS, feed_head_of, head_of
from nm_bus.messages import Entry, FeedPlace, Sync, Synced, Update

BEYOND = 32
"""How many updates beyond a gap are kept; what is further on is asked for again."""


class Place(msgspec.Struct, frozen=True):
    """How far one has come in a feed: its last number and its head. Without a `feed` it is a place
    in the whole, whose numbers are the revisions.

    An empty `head` is not known, and the next update's is believed.
    """

    epoch: int = 0
    number: int = 0
    head: str = GENESIS
    feed: str = ""

    @property
    def order(self) -> tuple[int, int]:
        """Which of two places is further on."""
        return self.epoch, self.number

    @property
    def is_nowhere(self) -> bool:
        """Whether nothing was followed yet: one begins with a snapshot."""
        return self.order == (0, 0)

    @property
    def question(self) -> Sync:
        """What asks for that which comes after it."""
        return Sync(self.epoch, self.number, self.head, feed=self.feed)

    def moved(self, epoch: int, number: int, head: str) -> "Place":
        """Another place in the same feed."""
        return Place(epoch, number, head, self.feed)

    def after(self, update: Update) -> "Place":
        """Where one is with an update of the same feed."""
        link = _link(update, self.feed)
        return self.moved(update.epoch, link.number, link.head)


NOWHERE = Place()
"""The place of who has nothing yet, in whatever feed."""


def _link(update: Update, feed: str) -> FeedPlace:
    """An update as a link of a chain: its feed's, or the whole's."""
    if feed:
        return update.place
    return FeedPlace("", update.revision, update.previous, update.head)


@dataclass(frozen=True, slots=True)
class Apply:
    """The next update: apply it."""

    update: Update


@dataclass(frozen=True, slots=True)
class Load:
    """A page of a snapshot, in the order of keys. `first`: forget which keys were named before;
    `last`: what no page named is no more.

    An entry may be newer than the place that follows the snapshot; updates then come again. It is
    of the ledger's revision `at`, or a later one.
    """

    entries: tuple[Entry, ...]
    first: bool
    last: bool
    at: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done with the answer: ask again after a while, or ask another supernode."""

    reason: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """The own history is not the supernodes': a person should know. A snapshot is asked for."""

    reason: str


Move = Apply | Load | Wait | Alarm


@dataclass(slots=True)
class _Loading:
    """A snapshot under way: where it leads, the last key that came, the revision it began at."""

    place: Place | None = None
    after: str = ""
    at: int = 0


@dataclass(slots=True)
class Follower:
    """Follows a ledger, or one feed of it, from a place on. `known` is the highest number that it
    heard of there; updates of other feeds are nothing to it.

    Whoever drives it asks `question` whenever there is one, one at a time, and hands every answer
    to `answered`; after moves without an Apply or a Load it waits before it asks again.
    """

    place: Place = NOWHERE
    known: int = 0
    _beyond: dict[int, Update] = field(default_factory=dict)
    _settled: bool = False
    _loading: _Loading | None = None

    def __post_init__(self) -> None:
        self.known = max(self.known, self.place.number)
        if self.place.is_nowhere:
            self._loading = _Loading()

    @property
    def behind(self) -> int:
        """How many updates are known to be missing."""
        return max(0, self.known - self.place.number)

    @property
    def question(self) -> Sync | None:
        """What to ask a supernode now; None when nothing is missing."""
        if self._loading is None and self._settled and not self.behind:
            return None
        if self._loading is None:
            return self.place.question
        here = (self._loading.place or self.place).question
        return replace(here, after=self._loading.after)

    def concerns(self, update: Update) -> bool:
        """Whether an update is of what is followed."""
        return self.place.feed in ("", update.place.feed)

    def reload(self) -> None:
        """Take a snapshot though nothing is wrong: what was applied is needed again."""
        self._loading = self._loading or _Loading()

    def reconnected(self) -> None:
        """This may be another supernode, and updates may have been missed: ask at once."""
        self._settled = False
        self._beyond.clear()
        self.known = self.place.number
        if self._loading is not None:
            self._loading = _Loading()

    def take(self, update: Update) -> list[Move]:
        """An update came: what can be applied now, in order; nothing twice and nothing early."""
        if not self.concerns(update):
            return []
        if update.epoch != self.place.epoch:
            self._settled = self._settled and update.epoch < self.place.epoch
            return []
        number = update.place.number if self.place.feed else update.revision
        self.known = max(self.known, number)
        if 0 < number - self.place.number <= BEYOND:
            self._beyond.setdefault(number, update)
        return self._go_on()

    def answered(self, question: Sync, answer: Synced) -> list[Move]:
        """The answer to a question that was asked, perhaps a while ago."""
        if question.feed != self.place.feed:
            return []
        there = self.place.moved(answer.epoch, answer.number, answer.head)
        if there.epoch == self.place.epoch:
            self.known = max(self.known, there.number)
        if answer.state == "lag" or there.order < (question.epoch, question.number):
            return [Wait(f"the supernode is behind: it has {self._named(there.number)}")]
        match answer.state:
            case "updates":
                return self._continue(answer, there)
            case "snapshot":
                return self._load(question, answer, there)
            case "reset":
                return self._leave(self._other_history(there))
            case other:
                return [Wait(f"the supernode's answer {other[:32]!r} is not understood")]

    def _go_on(self) -> list[Move]:
        moves: list[Move] = []
        while self._loading is None:
            update = self._beyond.pop(self.place.number + 1, None)
            if update is None:
                break
            if flaw := self._flaw(update):
                return moves + self._leave(flaw)
            self.place = self.place.after(update)
            moves.append(Apply(update))
        return moves

    def _flaw(self, update: Update) -> str:
        link = _link(update, self.place.feed)
        if self.place.head not in ("", link.previous):
            return f"{self._named(link.number)} does not follow the one before it"
        if update.head != head_of(update):
            return f"the hash of revision {update.revision} is not right"
        if update.place.head != feed_head_of(update):
            return f"the hash of revision {update.revision} in its feed is not right"
        return ""

    def _named(self, number: int) -> str:
        feed = self.place.feed
        return f"update {number} of {feed}" if feed else f"revision {number}"

    def _continue(self, answer: Synced, there: Place) -> list[Move]:
        moves = [move for update in answer.updates for move in self.take(update)]
        self._settled = not answer.more
        is_level = there.order == self.place.order and self._loading is None
        if is_level and self.place.head not in ("", there.head):
            return moves + self._leave(self._other_history(there))
        return moves

    def _leave(self, reason: str) -> list[Move]:
        """Apply nothing more of what is here; who had nothing has nothing to tell either."""
        news = self._loading is None
        self._loading = _Loading()
        self._beyond.clear()
        return [Alarm(reason)] if news else [Wait(reason)]

    def _other_history(self, there: Place) -> str:
        here = self.place
        return (
            f"{self._named(here.number)} in epoch {here.epoch} is not in the supernode's history,"
            f" which is at {self._named(there.number)} in epoch {there.epoch}"
        )

    def _load(self, question: Sync, answer: Synced, there: Place) -> list[Move]:
        """A page counts when it is the one that was asked for, and leads not back."""
        loading = self._loading or _Loading()
        if (question.after or "") != loading.after or (answer.more and not answer.entries):
            return [Wait("a page of a snapshot is not the one that is needed")]
        start = loading.place or there
        if start.order < self.place.order:
            older = self._named(start.number)
            return [Wait(f"the supernode's snapshot is of {older}, which is further back")]
        if there.epoch != start.epoch:
            self._loading = _Loading()
            return [Wait("another epoch has begun: the snapshot begins again")]
        first = loading.place is None
        at = answer.at if first else loading.at
        if there.epoch != self.place.epoch:
            self.known = there.number
        if answer.more:
            self._loading = _Loading(start, answer.entries[-1].key, at)
        else:
            self._arrive(start)
        return [Load(answer.entries, first, not answer.more, at), *self._go_on()]

    def _arrive(self, place: Place) -> None:
        """The snapshot is whole. What came since is asked for, and perhaps here already."""
        self.place, self._loading, self._settled = place, None, False
        self._beyond = {number: u for number, u in self._beyond.items() if number > place.number}
