"""Asking one supernode after another until an answer settles the question.

Where one cannot answer, the next is asked, in rounds with growing pauses, until the time is over.
This is the only fail-over of a client. What an answer means is the judge's to say.
"""

import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar
from uuid import uuid4

import msgspec

from nm_bus.client.carrier import Carrier
from nm_bus.codes import NO_LEDGER, UNAVAILABLE
from nm_bus.errors import (
    ConnectionLostError,
    NmBusError,
    RefusedError,
    TimedOutError,
    UndecidedError,
)
from nm_bus.messages import Answer, Message, NodeId, Query, Read, Seconds
from nm_bus.settings import Timing
from nm_bus.transport.reconnect import Pauses

# --- What is said while supernodes do not answer, and at the end when none of them could.

MAY_PASS = (ConnectionLostError, TimedOutError)
"""What another supernode, or a later moment, may answer better."""

SLOW: Seconds = 1.0
"""So long nothing is said: most often the next supernode answers at once."""

QUICK: Seconds = 2.5
"""How long the first round waits for each supernode, where it can answer from memory."""

Said = Callable[[str], None]


def quietly(_text: str) -> None:
    """Nobody wants to hear of it."""


def is_cheap(message: Message) -> bool:
    """Whether a supernode that is well answers at once, and asking another one does no harm."""
    if isinstance(message, Read):
        return not message.agreed and not message.at_least
    return isinstance(message, Query)


def nobody(failures: Mapping[NodeId, NmBusError], telling: NmBusError) -> NmBusError:
    """The error at the end: every supernode that was asked, with its own reason.

    A refusal is a better answer than that, so it is given as it is.
    """
    if type(telling) not in MAY_PASS:
        return telling
    reasons = "; ".join(_named(node, str(error)) for node, error in failures.items())
    return type(telling)(f"no supernode could answer: {reasons}; see `nm-bus doctor`")


def _named(node: NodeId, reason: str) -> str:
    return reason if node in reason else f"{node}: {reason}"


class Silence:
    """Says once of each supernode that it did not answer, when that begins to take time."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._known: set[NodeId] = set()

    def broken(self, node: NodeId) -> None:
        """It answered, so its next silence is news."""
        self._known.discard(node)

    def of(self, node: NodeId, error: NmBusError, following: NodeId, taken: Seconds) -> None:
        """It gave no answer, and `following` is asked next; `taken` seconds have passed by now."""
        if isinstance(error, MAY_PASS) and taken >= SLOW and node not in self._known:
            self._known.add(node)
            self._said(f"{_named(node, str(error))}; asking {following}")


ROUNDS = 2
"""How often all supernodes are asked where nobody wants to wait until one is back."""

SHUNNED: Seconds = 20.0
"""For about how long a supernode that did not answer is asked after all others."""

LEAST: Seconds = 0.5
"""What a supernode is given to answer, however little time is left."""

T = TypeVar("T")
Struct = TypeVar("Struct", bound=msgspec.Struct)
Judge = Callable[[Answer, NodeId], T]
"""Gives what an answer says, or raises: one of MAY_PASS when the next supernode is to be asked."""


class Asking:
    """Remembers which supernode answered last and asks it first, and those that were silent a
    moment ago last. Asks in so many `rounds`, unless that is None. One thread may use it."""

    def __init__(
        self,
        carrier: Carrier,
        supernodes: Iterable[NodeId],
        timing: Timing,
        said: Said = quietly,
        rounds: int | None = None,
    ) -> None:
        self._carrier, self._turns = carrier, deque(supernodes)
        self._timing, self._silence = timing, Silence(said)
        self._silent: dict[NodeId, Seconds] = {}
        self._rounds = rounds

    @property
    def count(self) -> int:
        """How many supernodes there are."""
        return len(self._turns)

    def settled(
        self,
        message: Message,
        judge: Judge[T],
        *,
        timeout: Seconds,
        patience: Seconds,
        rounds: int | None = None,
    ) -> T:
        """Ask until the judge is content, at most so many rounds; each supernode may take
        `patience` seconds.

        In the first round it may take less for what costs a supernode nothing. Raises what the
        judge raises, and at the end the most telling of what went wrong, or what each one said.
        """
        start, request = time.monotonic(), str(uuid4())
        deadline = start + timeout
        longest = min(patience, QUICK) if self.count > 1 and is_cheap(message) else patience
        pauses = Pauses(self._timing.retry_first, self._timing.retry_most, random.random)
        known: deque[NmBusError] = deque(maxlen=100)
        latest: dict[NodeId, NmBusError] = {}
        for turn in itertools.count(1):
            failures: list[NmBusError] = []
            self._order()
            for untried in range(len(self._turns), 0, -1):
                share = (deadline - time.monotonic()) / untried
                found = self._asked(message, request, judge, min(longest, max(LEAST, share)))
                if not isinstance(found, NmBusError):
                    return found
                failures.append(found)
                latest[self._turns[0]] = found
                self._pass(found, time.monotonic() - start)
                if time.monotonic() >= deadline:
                    break
            known += failures
            longest = patience
            left = deadline - time.monotonic()
            may_pass = any(isinstance(failure, MAY_PASS) for failure in failures)
            if turn == (rounds or self._rounds) or left <= 0 or not may_pass:
                break
            time.sleep(min(left, pauses.next()))
        telling = _most_telling(known)
        raise nobody(latest, telling) if self.count > 1 else telling

    def each(self, message: Message, judge: Judge[T], *, patience: Seconds) -> Iterator[T]:
        """What the others say than the one that answered last, each asked once; who gives no good
        answer is left out. Who takes no more stops there: that one is asked first from then on."""
        for _ in range(len(self._turns) - 1):
            self._turns.rotate(-1)
            try:
                found = self._asked(message, str(uuid4()), judge, patience)
            except RefusedError:
                continue
            if not isinstance(found, NmBusError):
                yield found
        self._turns.rotate(-1)

    def _pass(self, failure: NmBusError, taken: Seconds) -> None:
        """The next one's turn; whoever waits for long is told."""
        node = self._turns[0]
        self._turns.rotate(-1)
        self._silence.of(node, failure, self._turns[0], taken)

    def _order(self) -> None:
        """Those that were silent a moment ago come last; otherwise the order is kept."""
        now = time.monotonic()
        self._turns = deque(sorted(self._turns, key=lambda node: self._silent.get(node, 0.0) > now))

    def _asked(
        self, message: Message, request: str, judge: Judge[T], share: Seconds
    ) -> T | NmBusError:
        """What the next supernode's answer says, or why it does not settle the question."""
        supernode = self._turns[0]
        try:
            answer = self._carrier.request(message, share, supernode, request)
        except NmBusError as error:
            if isinstance(error, MAY_PASS):
                self._silent[supernode] = time.monotonic() + SHUNNED * (0.5 + random.random())
            return error  # even a refusal: a broker may not know whom another one does
        self._silent.pop(supernode, None)
        self._silence.broken(supernode)
        if answer.code == NO_LEDGER:
            return RefusedError(answer.error or f"{supernode} has no ledger", NO_LEDGER)
        try:
            return judge(answer, supernode)
        except MAY_PASS as error:
            return error


def _most_telling(failures: deque[NmBusError]) -> NmBusError:
    def rank(error: NmBusError) -> int:
        if isinstance(error, UndecidedError):
            return 0 if error.accepted_by else 1
        return 3 if isinstance(error, MAY_PASS) else 2

    return min(reversed(failures), key=rank)


def good(answer: Answer, supernode: NodeId) -> Answer:
    """A good answer as it is; raises RefusedError, or ConnectionLostError for `unavailable`."""
    if answer.ok:
        return answer
    if answer.code == UNAVAILABLE:
        raise ConnectionLostError(answer.error or f"{supernode} cannot answer now; try again")
    raise RefusedError(answer.error or f"{supernode} refused: {answer.code}", answer.code)


def understood(data: object, kind: type[Struct]) -> Struct:
    """An answer's data as a struct; raises RefusedError when versions do not fit."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise RefusedError(
            f"the supernode's answer is not understood ({error}); update nm-bus here or there"
        ) from None
