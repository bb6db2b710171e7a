"""The channel of requests: who asks, where the answer may go, how often, and the answer itself.

An answer goes only to the broker's own reply address, else an asker could make the supernode write
into another's queue. A gone asker is not noticed; asking again with the same id is harmless.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from nm_agents.host.inbound import Channel, EachAcked, Handler, Routes
from nm_agents.host.sender import Sender
from nm_agents.supernode.asker import Asker
from nm_agents.supernode.broker.watch import Look
from nm_agents.supernode.part import Part, Queried, Requested
from nm_bus.codec import LONG, UNKNOWN, Reason, Rejected, id_of
from nm_bus.codes import BAD_REQUEST, NOT_ALLOWED, UNAVAILABLE
from nm_bus.core.admission import vouched
from nm_bus.core.rate import Rate
from nm_bus.core.turns import Turns
from nm_bus.identity.role import Role
from nm_bus.messages import Answer, Event, Message, NodeId, Query, Seconds
from nm_bus.protocol import BUDGETS, ROWS, SMALL, Budget
from nm_bus.topology import request_key, request_queue
from nm_bus.transport.base import REPLY_PREFIX, Delivery, Outcome, Outgoing, Transport, reply_node

_LOG = logging.getLogger(__name__)

MOST, MOST_OF_ONE = 10_000, 500
"""How many answers may wait for their turn, in all and to one principal."""

UNDER_WAY = 8 * 1024 * 1024
"""How many bytes may be on their way to the broker; one answer more may begin below it."""

Make = Callable[[], Outgoing]

TOO_FAST = "too many requests, slow down"
TOO_MANY_ANSWERS = "too many answers wait to be sent to you; read some first"


@dataclass(slots=True)
class Replies:
    """Answers on their way out: principals in turn, and never more than so many bytes at once.

    An answer is made when its turn comes. So neither many questions nor an asker who reads nothing
    fill this program's memory, and one principal's thousand pages cost another one turn.
    """

    transport: Transport
    _turns: Turns[Make] = field(default_factory=lambda: Turns(MOST, MOST_OF_ONE))
    _under_way: int = 0

    def give(self, who: NodeId, make: Make) -> bool:
        """Send what `make` gives, now or in its turn. False when too many wait: nothing is sent."""
        taken = self._turns.push(who, make)
        self._next()
        return taken

    def _next(self) -> None:
        while self._turns and self._under_way < UNDER_WAY:
            _, make = self._turns.pop()
            answer = make()
            size = len(answer.body)
            self._under_way += size
            self.transport.publish(answer, partial(self._ended, size))

    def _ended(self, size: int, _outcome: Outcome) -> None:
        """The broker has it, or it is lost: who still wants it asks again."""
        self._under_way -= size
        self._next()


@dataclass(slots=True)
class RequestChannel:
    """What principals ask of one supernode; `handlers` and `others` are what parts take."""

    transport: Transport
    sender: Sender
    handlers: Mapping[type[Message], Requested]
    others: Routes
    """What is sent here and wants no answer."""
    reply_nodes: frozenset[bytes] = frozenset()
    """The broker's nodes, as reply addresses name them; empty when they need no check."""
    floods: Counter[NodeId] = field(default_factory=Counter)
    """How many requests of each principal were refused because it asked too fast."""
    _replies: Replies = field(init=False)
    _rates: dict[Budget, Rate] = field(init=False)

    def __post_init__(self) -> None:
        self._replies = Replies(self.transport)
        self._rates = {each: Rate(each.burst, each.per_second) for each in BUDGETS}

    def looked(self, look: Look) -> None:
        """The broker was looked at: answers may go to these nodes of it."""
        self.reply_nodes = look.reply_nodes

    def channel(self, role: Role) -> Channel:
        """The queue of one role's requests."""
        asked: Handler = partial(self._asked, role)
        routes = {**dict.fromkeys(self.handlers, asked), **self.others}

        def vouch(event: Event[Message], delivery: Delivery, _now: Seconds) -> Routes | Rejected:
            return vouched(event, delivery.user_id) or routes

        settling = EachAcked(self.transport)
        return Channel(request_queue(role), vouch, settling, refused=partial(self._rejected, role))

    def _asked(self, role: Role, event: Event[Any], delivery: Delivery, now: Seconds) -> None:
        data, asker = event.data, self._asker(role, delivery, event.id)
        if asker is None:
            what = "a request of %s has no reply address of the broker's; dropped"
            _LOG.warning(what, delivery.user_id)
        elif not self._is_within_budget(data, asker.user, now):
            self._too_fast(asker)
        elif delivery.key not in (type(data).__name__.lower(), request_key(data)):
            error = f"the key {delivery.key} is not what the message asks for"
            asker.refuse(NOT_ALLOWED, error)
        else:
            self.handlers[type(data)](data, asker)

    def _rejected(self, role: Role, delivery: Delivery, rejected: Rejected) -> None:
        """Say why a message cannot be taken, so that its asker need not wait in vain."""
        # what ended the program is not read once more for its id
        is_deadly = rejected.reason is Reason.KILLED
        asker = self._asker(role, delivery, UNKNOWN if is_deadly else id_of(delivery.body))
        if asker is None:
            return
        if self._rates[SMALL].allows(asker.user, self.transport.now()):
            asker.refuse(BAD_REQUEST, f"{rejected.reason}: {rejected.detail}")
        else:
            self._too_fast(asker)

    def _asker(self, role: Role, delivery: Delivery, request: str) -> "DirectAsker | None":
        reply_to = delivery.reply_to or ""
        if not reply_to.startswith(REPLY_PREFIX):
            return None
        if self.reply_nodes and reply_node(reply_to) not in self.reply_nodes:
            return None
        user, correlation = delivery.user_id or "", delivery.correlation_id
        return DirectAsker(self, user, role, request, reply_to, correlation)

    def _is_within_budget(self, data: Message, user: NodeId, now: Seconds) -> bool:
        row = ROWS[type(data)]
        return self._rates[row.budget].allows(user, now, row.cost)

    def _too_fast(self, asker: "DirectAsker") -> None:
        """Refuse, and log who floods: once when it begins, and more rarely as it goes on."""
        self.floods[asker.user] += 1
        count = self.floods[asker.user]
        if count & (count - 1) == 0:
            _LOG.warning("%s asks too fast: %d requests were refused", asker.user, count)
        asker.refuse(UNAVAILABLE, TOO_FAST)

    def answer(self, user: NodeId, make: Callable[[], Outgoing]) -> bool:
        """Send what is made when its turn comes. False when too many wait: nothing is sent."""
        return self._replies.give(user, make)


@dataclass(frozen=True, slots=True)
class DirectAsker:
    """An asker that waits at its reply address."""

    channel: RequestChannel
    user: NodeId
    role: str
    request: str
    reply_to: str
    correlation_id: str | None

    def reply(self, data: object) -> None:
        """Answer, in turn with others."""
        self.give(lambda: Answer(self.request, ok=True, data=msgspec.to_builtins(data)))

    def refuse(self, code: str, error: str) -> None:
        """A refusal is small, so it goes at once."""
        refusal = Answer(self.request, ok=False, code=code, error=error[:LONG])
        self.channel.transport.publish(self._outgoing(refusal))

    def give(self, make: Callable[[], Answer]) -> None:
        """Answer in turn, so that one principal's many answers cost another one turn."""
        if not self.channel.answer(self.user, lambda: self._outgoing(make())):
            self.refuse(UNAVAILABLE, TOO_MANY_ANSWERS)

    def _outgoing(self, answer: Answer) -> Outgoing:
        body = self.channel.sender.encoded(answer)
        return Outgoing("", self.reply_to, body, correlation_id=self.correlation_id)


# --- Queries: each `what` is answered by the part that knows it.


@dataclass(slots=True)
class QueriesPart(Part):
    """`known` has the queries of all parts, by `what`."""

    transport: Transport
    known: Mapping[str, Queried]

    def requests(self) -> dict[type[Message], Requested]:
        """Query."""
        return {Query: self._query}

    def _query(self, query: Query, asker: Asker) -> None:
        now = self.transport.now()
        if query.what == "time":
            asker.reply({"now": now})
        elif query.what in self.known:
            self.known[query.what](query, asker, now)
        else:
            *names, last = sorted({*self.known, "time"})
            known = f"{', '.join(names)} or {last}"
            asker.refuse(BAD_REQUEST, f"what is {query.what!r}; use {known}")
