"""Who lives by the ledger's updates: what to apply, what to ask, what to tell.

Pure: updates and answers come in, moves go out as values. Sending, waiting between two questions
and keeping what was applied belong to the program. A place is a revision with its head, so that
nothing is ever applied to another history than its own.
"""

from dataclasses import dataclass, field

from nm_bus.core.ledger.chain import GENESIS, head_of
from nm_bus.messages import Entry, Sync, Synced, Update

BEYOND = 32
"""How many revisions beyond a gap are kept; what is further on is asked for again."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far one has come. An empty `head` is not known, and the next update's is believed."""

    epoch: int = 0
    revision: int = 0
    head: str = GENESIS

    @property
    def order(self) -> tuple[int, int]:
        """Which of two places is further on."""
        return self.epoch, self.revision


NOWHERE = Place()
"""The place of who has nothing yet, and begins with a snapshot."""


@dataclass(frozen=True, slots=True)
class Apply:
    """The next revision: apply it."""

    update: Update


@dataclass(frozen=True, slots=True)
class Load:
    """A page of a snapshot, in the order of keys. `first`: forget which keys were named before;
    `last`: what no page named is no more.

    An entry may be newer than the place that follows the snapshot; updates then come again.
    """

    entries: tuple[Entry, ...]
    first: bool
    last: bool


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
    """A snapshot under way: where it leads, and the last key that came."""

    place: Place | None = None
    after: str = ""


@dataclass(slots=True)
class Follower:
    """Follows one ledger from a place on. `known` is the highest revision that it heard of.

    Whoever drives it asks `question` whenever there is one, one at a time, and hands every answer
    to `answered`; after moves without an Apply or a Load it waits before it asks again.
    """

    place: Place = NOWHERE
    known: int = 0
    _beyond: dict[int, Update] = field(default_factory=dict)
    _settled: bool = False
    _loading: _Loading | None = None

    def __post_init__(self) -> None:
        self.known = max(self.known, self.place.revision)
        if self.place == NOWHERE:
            self._loading = _Loading()

    @property
    def behind(self) -> int:
        """How many revisions are known to be missing."""
        return max(0, self.known - self.place.revision)

    @property
    def question(self) -> Sync | None:
        """What to ask a supernode now; None when nothing is missing."""
        if self._loading is None and self._settled and not self.behind:
            return None
        here, after = self.place, None
        if self._loading is not None:
            here, after = self._loading.place or here, self._loading.after
        return Sync(here.epoch, here.revision, here.head, after)

    def reload(self) -> None:
        """Take a snapshot though nothing is wrong: what was applied is needed again."""
        self._loading = self._loading or _Loading()

    def reconnected(self) -> None:
        """This may be another supernode, and updates may have been missed: ask at once."""
        self._settled = False
        self._beyond.clear()
        self.known = self.place.revision
        if self._loading is not None:
            self._loading = _Loading()

    def take(self, update: Update) -> list[Move]:
        """An update came: what can be applied now, in order; nothing twice and nothing early."""
        if update.epoch != self.place.epoch:
            self._settled = self._settled and update.epoch < self.place.epoch
            return []
        self.known = max(self.known, update.revision)
        if 0 < update.revision - self.place.revision <= BEYOND:
            self._beyond.setdefault(update.revision, update)
        return self._go_on()

    def answered(self, question: Sync, answer: Synced) -> list[Move]:
        """The answer to a question that was asked, perhaps a while ago."""
        there = Place(answer.epoch, answer.revision, answer.head)
        if there.epoch == self.place.epoch:
            self.known = max(self.known, there.revision)
        if answer.state == "lag" or there.order < (question.epoch, question.revision):
            return [Wait(f"the supernode is behind: it has revision {answer.revision}")]
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
            update = self._beyond.pop(self.place.revision + 1, None)
            if update is None:
                break
            if flaw := self._flaw(update):
                return moves + self._leave(flaw)
            self.place = Place(update.epoch, update.revision, update.head)
            moves.append(Apply(update))
        return moves

    def _flaw(self, update: Update) -> str:
        if self.place.head not in ("", update.previous):
            return f"revision {update.revision} does not follow the revision before it"
        if update.head != head_of(update):
            return f"the hash of revision {update.revision} is not right"
        return ""

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
            f"revision {here.revision} of epoch {here.epoch} is not in the supernode's history,"
            f" which is at revision {there.revision} of epoch {there.epoch}"
        )

    def _load(self, question: Sync, answer: Synced, there: Place) -> list[Move]:
        """A page counts when it is the one that was asked for, and leads not back."""
        loading = self._loading or _Loading()
        if (question.after or "") != loading.after or (answer.more and not answer.entries):
            return [Wait("a page of a snapshot is not the one that is needed")]
        start = loading.place or there
        if start.order < self.place.order:
            return [Wait(f"the supernode's snapshot is of revision {start.revision}, an older one")]
        if there.epoch != start.epoch:
            self._loading = _Loading()
            return [Wait("another epoch has begun: the snapshot begins again")]
        first = loading.place is None
        if there.epoch != self.place.epoch:
            self.known = there.revision
        if answer.more:
            self._loading = _Loading(start, answer.entries[-1].key)
        else:
            self._arrive(start)
        return [Load(answer.entries, first, last=not answer.more), *self._go_on()]

    def _arrive(self, place: Place) -> None:
        """The snapshot is whole. What came since is asked for, and perhaps here already."""
        self.place, self._loading, self._settled = place, None, False
        self._beyond = {number: u for number, u in self._beyond.items() if number > place.revision}
