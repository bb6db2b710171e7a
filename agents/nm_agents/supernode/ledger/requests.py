"""What a supernode answers about the ledger: changes that are asked for, followers, readers.

An answer says `agreed` only of what is applied here, and `accepted` of what is on this disk alone.
Whoever waits does so for a limited time, and asks again with the same change id.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from nm_agents.supernode.ledger.checking import Checking, Judge
from nm_agents.supernode.ledger.waits import WaitingAnswer, Waits
from nm_bus.codes import BAD_REQUEST, BAD_VALUE, NOT_ALLOWED, OK, UNAVAILABLE, UNKNOWN_KEY
from nm_bus.core.ledger.applying import READ, Applied
from nm_bus.core.ledger.feed import Feed
from nm_bus.core.ledger.keys import why_no_feed
from nm_bus.core.ledger.readiness import why_not_ready
from nm_bus.core.ledger.reading import page
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.syncing import synced
from nm_bus.core.ledger.voters import voter_id
from nm_bus.identity.signing import verify
from nm_bus.messages import (
    Change,
    ChangeId,
    NodeId,
    Propose,
    Proposed,
    Read,
    Seconds,
    Standing,
    Sync,
)
from nm_bus.transport.base import Transport

# --- Reading after all that was agreed: a change that does nothing, and what was asked before it.
#
# One is under way at a time, for everyone who asked before it was proposed; who asks meanwhile goes
# with the next.


class TakesProposals(Protocol):
    """What a barrier needs of the ledger."""

    def propose(self, change: Change, done: Callable[[Proposed], None]) -> str:
        """Take a change, on disk when this returns: `accepted`. Or `full`: nothing was taken.

        `done` is told once it is applied here.
        """

    def own_change(
        self,
        kind: str,
        key: str,
        value: dict[str, Any] | None = None,
        expected: int | None = None,
    ) -> Change:
        """A new change in the supernode's own name, signed."""


@dataclass(slots=True)
class Barrier:
    """Calls whoever asked once all is applied here that had been agreed when it asked."""

    driver: TakesProposals
    _next: dict[WaitingAnswer, Callable[[], None]] = field(default_factory=dict)
    _is_under_way: bool = False

    def ask(self, wait: WaitingAnswer, call: Callable[[], None]) -> None:
        """Make the call, later or at once; never, when no majority agrees any more."""
        self._next[wait] = call
        if not self._is_under_way:
            self._propose()

    def forget(self, wait: WaitingAnswer) -> None:
        """It waits no more."""
        self._next.pop(wait, None)

    def _propose(self) -> None:
        calls, self._next = list(self._next.values()), {}
        self._is_under_way = True
        change = self.driver.own_change(READ, READ)
        if self.driver.propose(change, partial(self._done, calls)) == "full":
            self._is_under_way = False

    def _done(self, calls: list[Callable[[], None]], _: Proposed) -> None:
        self._is_under_way = False
        for call in calls:
            call()
        if self._next and not self._is_under_way:
            self._propose()


PATIENCE: Seconds = 8.0
"""How long a reader waits for a revision, or for an agreement: less than clients wait for us."""

TOO_MANY = "too many requests wait for their answer; ask again in a moment"


class Driver(TakesProposals, Feed, Protocol):
    """What is asked of a supernode's ledger at work."""

    @property
    def node(self) -> NodeId:
        """The supernode."""

    @property
    def state(self) -> State:
        """What was applied here."""

    def propose_all(self, asked: Iterable[tuple[Change, Callable[[Proposed], None]]]) -> list[str]:
        """Take changes that came together, each as by `propose`, on disk at once."""

    def is_waiting(self, change: ChangeId) -> bool:
        """Whether a change was taken here and is not decided yet."""

    def standing(self) -> Standing:
        """How it stands."""

    def on_applied(self, listener: Callable[[list[Applied]], None]) -> None:
        """Call `listener` with what was applied."""

    def on_installed(self, listener: Callable[[], None]) -> None:
        """Call `listener` when a snapshot has taken the place of the state."""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer: `data` is a message's part, `error` one sentence when the code is not `ok`.

    What is large is made by `later`, once its turn to be sent has come.
    """

    data: Any = None
    code: str = OK
    error: str = ""
    later: Callable[[], Any] | None = None


Answered = Callable[[Given], None]


@dataclass(slots=True)
class LedgerRequests:
    """Answers what principals ask of one supernode's ledger; `listen` begins it.

    `authority` gives the certificates (PEM) of the project's authority; `judge` makes the checks
    that take long. `joined` is told of a
    member that introduces itself, `looked` of who reads which key: so owners of sessions say that
    they live.
    """

    driver: Driver
    transport: Transport
    authority: Callable[[], str]
    judge: Judge
    joined: Callable[[NodeId], None] = lambda _member: None
    looked: Callable[[str, NodeId], None] = lambda _key, _principal: None
    _checking: Checking = field(init=False)
    _waits: Waits = field(init=False)
    _barrier: Barrier = field(init=False)
    _asked: dict[ChangeId, dict[WaitingAnswer, Answered]] = field(default_factory=dict)
    _gathered: list[tuple[Propose, str, Answered]] = field(default_factory=list)
    """What came in this turn, and is checked but not proposed yet."""
    _parked: dict[WaitingAnswer, tuple[int, Callable[[], None]]] = field(default_factory=dict)
    """Who waits for a revision, and what is done then."""

    def __post_init__(self) -> None:
        self._waits, self._barrier = Waits(self.transport), Barrier(self.driver)
        self._checking = Checking(self.transport, lambda: self.driver.state, self.judge)

    def listen(self) -> None:
        """Hear of what is applied."""
        self.driver.on_applied(lambda _: self._moved())
        self.driver.on_installed(self._moved)

    def take(self, asked: Propose | Sync | Read, user: str, answered: Answered) -> None:
        """Answer a request of `user`, for whom the broker vouches: now or later, once."""
        match asked:
            case Propose():
                self._propose(asked, user, answered)
            case Sync():
                answered(self._synced(asked))
            case Read():
                self.looked(asked.key, user)
                self._read(asked, user, answered)

    def _synced(self, asked: Sync) -> Given:
        flaw = why_no_feed(asked.feed) if asked.feed else ""
        if flaw:
            return Given(code=BAD_REQUEST, error=flaw)
        return Given(later=lambda: synced(asked, self.driver.state, self.driver))

    # --- changes

    def _propose(self, asked: Propose, user: str, answered: Answered) -> None:
        change = asked.change
        refusal = _wrong_asker(change, user)
        if refusal is None and self._is_answered(change, answered):
            return
        refusal = refusal or self._foreign(asked, user)
        if refusal is None and self.driver.is_waiting(change.id):
            # it was taken already: what was found wrong only now would be said of what is agreed
            self._gather(asked, user, answered)
            return
        refusal = refusal or self._unready(change)
        if refusal is not None:
            answered(_refused(change, refusal))
        else:
            self._checking.take(user, change, partial(self._checked, asked, user, answered))

    def _checked(
        self, asked: Propose, user: str, answered: Answered, refusal: Refusal | None
    ) -> None:
        """The check may have taken long, and the change may be decided or on its way by now."""
        if self._is_answered(asked.change, answered):
            return
        if refusal is None or self.driver.is_waiting(asked.change.id):
            self._gather(asked, user, answered)
        else:
            answered(_refused(asked.change, refusal))

    def _gather(self, asked: Propose, user: str, answered: Answered) -> None:
        self._gathered.append((asked, user, answered))
        if len(self._gathered) == 1:
            self.transport.later(0.0, self._offer)

    def _is_answered(self, change: Change, answered: Answered) -> bool:
        """Give the ledger's own answer if it has one, which counts whatever else is found."""
        given = self.driver.state.answer(change.id)
        if given is not None:
            answered(_told(given))
        return given is not None

    def _offer(self) -> None:
        """Propose what came since the last turn, in one transaction; nobody waits before it."""
        gathered, self._gathered = self._gathered, []
        begun = [(each[0].change, self._wait_for(*each)) for each in gathered]
        taken = [(change, wait) for change, wait in begun if wait is not None]
        said = self.driver.propose_all([(change, self._done) for change, _ in taken])
        for (change, wait), word in zip(taken, said, strict=True):
            if word == "full" and (answered := self._let_go(change.id, wait)) is not None:
                answered(Given(code=UNAVAILABLE, error=self._why_full()))

    def _wait_for(self, asked: Propose, user: str, answered: Answered) -> WaitingAnswer | None:
        """Wait for the outcome of a change, unless too many wait."""
        id = asked.change.id
        wait = self._waits.begin(user, asked.wait, partial(self._accepted, id))
        if wait is None:
            answered(Given(code=UNAVAILABLE, error=TOO_MANY))
        else:
            self._asked.setdefault(id, {})[wait] = answered
        return wait

    def _foreign(self, asked: Propose, user: str) -> Refusal | None:
        """Why a change is not the asker's, if so."""
        try:
            authority = self.authority()
        except OSError as error:
            missing = f"{self.driver.node} cannot read its authority's certificates: {error}"
            return Refusal(UNAVAILABLE, missing)
        now = self.transport.now()
        foreign = verify(asked.change, asked.certificate, authority, user, now)
        return Refusal(NOT_ALLOWED, foreign) if foreign else None

    def _unready(self, change: Change) -> Refusal | None:
        """Why a supernode must wait for its vote, if so."""
        if change.kind != "admit":
            return None
        own = self.driver.standing()
        heights = {**own.heights, voter_id(own.node, own.incarnation): own.height}
        why = why_not_ready(change, self.driver.state, heights)
        return Refusal(BAD_VALUE, why) if why else None

    def _done(self, proposed: Proposed) -> None:
        for wait, answered in self._asked.pop(proposed.id, {}).items():
            if self._waits.end(wait):
                answered(_told(proposed))

    def _accepted(self, change: ChangeId, wait: WaitingAnswer) -> None:
        """The time is over; the change is on the way."""
        answered = self._let_go(change, wait)
        if answered is not None:
            answered(_told(Proposed(change, "accepted")))

    def _let_go(self, change: ChangeId, wait: WaitingAnswer) -> Answered | None:
        self._waits.end(wait)
        waiting = self._asked.get(change, {})
        answered = waiting.pop(wait, None)
        if not waiting:
            self._asked.pop(change, None)
        return answered

    def _why_full(self) -> str:
        standing = self.driver.standing()
        if standing.reason:
            return f"the ledger of {standing.node} has stopped: {standing.reason}"
        waiting = f"{standing.pending} changes wait at {standing.node} to be agreed"
        return f"{waiting}, and it takes no more; ask another supernode, or later"

    # --- reading

    def _read(self, question: Read, user: str, answered: Answered) -> None:
        if not question.agreed and question.at_least <= self.driver.state.revision:
            answered(self._found(question))
            return
        wait = self._waits.begin(user, PATIENCE, partial(self._given_up, question, answered))
        if wait is None:
            answered(Given(code=UNAVAILABLE, error=TOO_MANY))
            return
        then = partial(self._park, question, answered, wait)
        if question.agreed:
            self._barrier.ask(wait, then)
        else:
            then()

    def _park(self, question: Read, answered: Answered, wait: WaitingAnswer) -> None:
        """Wait for the revision, which may be here already."""

        def found() -> None:
            if self._waits.end(wait):
                answered(self._found(question))

        if question.at_least <= self.driver.state.revision:
            found()
        elif wait in self._waits:
            self._parked[wait] = question.at_least, found

    def _moved(self) -> None:
        revision = self.driver.state.revision
        ready = [wait for wait, (least, _) in self._parked.items() if least <= revision]
        for wait in ready:
            _, found = self._parked.pop(wait)
            found()

    def _given_up(self, question: Read, answered: Answered, wait: WaitingAnswer) -> None:
        self._barrier.forget(wait)
        self._parked.pop(wait, None)
        standing = self.driver.standing()
        if standing.reason:
            error = f"the ledger of {standing.node} has stopped: {standing.reason}"
        elif question.agreed:
            error = f"no majority of the supernodes agreed within {PATIENCE:g} s; ask again"
        else:
            behind = f"{standing.node} has applied revision {standing.revision}"
            error = f"{behind}, not yet {question.at_least}; ask again, or another supernode"
        answered(Given(code=UNAVAILABLE, error=error))

    def _found(self, question: Read) -> Given:
        match question.what:
            case "ledger":
                return Given(self.driver.standing())
            case "answer":
                return self._answer_to(question.key)
            case _:
                found = page(question, self.driver.state, self.driver)
                if isinstance(found, Refusal):
                    return Given(code=found.code, error=found.reason)
                return Given(found)

    def _answer_to(self, change: ChangeId) -> Given:
        proposed = self.driver.state.answer(change)
        if proposed is None and self.driver.is_waiting(change):
            proposed = Proposed(change, "accepted")
        if proposed is None:
            unknown = f"{self.driver.node} knows of no change {change}, or no longer"
            return Given(code=UNKNOWN_KEY, error=unknown)
        return Given(proposed)


def _wrong_asker(change: Change, user: str) -> Refusal | None:
    if change.actor != user:
        return Refusal(NOT_ALLOWED, f"{user} may not ask for a change as {change.actor}")
    if change.id.partition("/")[0] != user:
        return Refusal(NOT_ALLOWED, f"{user} may not use the change id {change.id}")
    return None


def _refused(change: Change, refusal: Refusal) -> Given:
    if refusal.code == UNAVAILABLE:
        return Given(code=refusal.code, error=refusal.reason)
    return _told(Proposed(change.id, "refused", 0, refusal.code, refusal.reason))


def _told(proposed: Proposed) -> Given:
    if proposed.state == "refused":
        return Given(proposed, proposed.code, proposed.reason)
    return Given(proposed)
