"""The feeds that a member lives by: each with its place, its questions and its pauses.

What is right is decided in `nm_bus.core.ledger.follower`. A member asks one question at a time,
however many feeds it has: so what it costs its supernode has a bound.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from nm_agents.host.sender import Sender
from nm_bus import codec
from nm_bus.core.ledger.follower import Apply, Follower, Load, Move, Place, Wait
from nm_bus.identity.role import MEMBER
from nm_bus.messages import Answer, Event, Seconds, Sync, Synced, Update
from nm_bus.topology import PEER_BYTES, request_exchange, request_key
from nm_bus.transport.base import Delivery, Flow, Outgoing, Timer, Transport
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)

ANSWER_WITHIN: Seconds = 10.0
"""How long the supernode may take to answer a sync."""


@dataclass(eq=False)
class MemberFeed:
    """One feed. `do` is given what is to be done, in order."""

    follower: Follower
    questions: "SyncQuestions"
    pauses: Pauses
    do: Callable[["MemberFeed", list[Move]], None]
    waits: str = ""
    """Why nothing could be done with the last answer."""
    _again: Timer | None = None

    @property
    def place(self) -> Place:
        """How far it is."""
        return self.follower.place

    def reconnected(self) -> None:
        """Whoever answers now may know more, or less: ask at once."""
        self.pauses.reset()
        self._forget_pause()
        self.follower.reconnected()
        self.ask()

    def look(self) -> None:
        """The last update before a silence may be lost, which no later one shows."""
        if self.follower.question is None:
            self.follower.reconnected()
            self.ask()

    def reload(self) -> None:
        """Fetch all of it again, though nothing is wrong with the place."""
        self.follower.reload()
        self.ask()

    def took(self, update: Update) -> None:
        """An update came."""
        moves = self.follower.take(update)
        if moves:
            self._done(moves)
        self.ask()

    def ask(self) -> None:
        """Ask what is to be asked, when its turn comes; not during a pause."""
        if self._again is None and self.follower.question is not None:
            self.questions.put(self)

    def answered(self, question: Sync, answer: Synced | str) -> None:
        """What came of a question: an answer, or why there is none."""
        if isinstance(answer, str):
            moves: list[Move] = [Wait(answer)]
        else:
            moves = self.follower.answered(question, answer)
        self._done(moves)
        if any(isinstance(move, Apply | Load) for move in moves):
            self.pauses.reset()
            self.ask()
        elif self.follower.question is not None:
            self._forget_pause()
            self._again = self.questions.transport.later(self.pauses.next(), self._ask_again)

    def _done(self, moves: list[Move]) -> None:
        for move in moves:
            if isinstance(move, Wait):
                self._wait(move.reason)
        if not moves or isinstance(moves[-1], Apply | Load):
            self._wait("")
        self.do(self, moves)

    def _wait(self, reason: str) -> None:
        if reason and reason != self.waits:
            LOGGER.warning("the ledger: %s; it is asked again until it answers", reason)
        elif self.waits and not reason:
            LOGGER.info("the ledger: the supernode answers again")
        self.waits = reason

    def _ask_again(self) -> None:
        self._again = None
        self.ask()

    def _forget_pause(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None


@dataclass
class SyncQuestions:
    """What the feeds of one member ask its supernode, one question after the other."""

    sender: Sender
    _waiting: deque[MemberFeed] = field(default_factory=deque)
    _asking: bool = False
    _connection: int = 0

    @property
    def transport(self) -> Transport:
        """The way to the supernode."""
        return self.sender.transport

    def flow_changed(self) -> None:
        """The broker came or went: no answer to an earlier question will come."""
        self._connection += 1
        self._asking = False
        self._waiting.clear()

    def put(self, feed: MemberFeed) -> None:
        """A feed has a question."""
        if feed not in self._waiting:
            self._waiting.append(feed)
        self._next()

    def _next(self) -> None:
        while self._waiting and not self._asking and self.transport.status.flow is Flow.UP:
            feed = self._waiting.popleft()
            question = feed.follower.question
            if question is not None:
                self._ask(feed, question)

    def _ask(self, feed: MemberFeed, question: Sync) -> None:
        self._asking = True
        exchange, key = request_exchange(MEMBER), request_key(question)
        message = Outgoing(exchange, key, self.sender.encoded(question))
        answered = partial(self._answered, self._connection, feed, question)
        self.transport.request(message, answered, timeout=ANSWER_WITHIN)

    def _answered(
        self, connection: int, feed: MemberFeed, question: Sync, answer: Delivery | None
    ) -> None:
        if connection != self._connection:
            return
        self._asking = False
        feed.answered(question, read_answer(answer))
        self._next()


def read_answer(answer: Delivery | None) -> Synced | str:
    """What a supernode answered to a sync, or why there is no answer, in words."""
    if answer is None:
        return "the supernode does not answer"
    event = codec.read(answer.body, Answer, limit=PEER_BYTES)
    if not isinstance(event, Event):
        return f"the supernode's answer cannot be read: {event.detail}"
    if not event.data.ok:
        return event.data.error or event.data.code
    try:
        return msgspec.convert(event.data.data, Synced)
    except msgspec.ValidationError as error:
        return f"the supernode's answer cannot be read: {error}"
