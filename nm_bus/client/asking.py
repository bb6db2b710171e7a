"""Asking one supernode after another until an answer settles the question.

Where one cannot answer, the next is asked, in rounds with growing pauses, until the time is over.
This is the only fail-over of a client. What an answer means is the judge's to say.
"""

import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from uuid import uuid4

import msgspec

from nm_bus.client.carrier import Carrier
from nm_bus.client.silence import MAY_PASS, QUICK, Said, Silence, is_cheap, nobody, quietly
from nm_bus.codes import NO_LEDGER, UNAVAILABLE
from nm_bus.errors import (
    ConnectionLostError,
    NmBusError,
    RefusedError,
    UndecidedError,
)
from nm_bus.messages import Answer, Message, NodeId, Seconds
from nm_bus.settings import Timing
from nm_bus.transport.reconnect import Pauses

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
