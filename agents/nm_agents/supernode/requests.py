"""What a supernode answers: queries from its view, queues for principals, questions to members.

An answer goes only to the broker's own reply address, else an asker could make the supernode write
into another's queue. A gone asker is not noticed; asking again with the same id is harmless.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from nm_agents.supernode.brokerwatch import BrokerWatch
from nm_agents.supernode.ledger.requests import Given, LedgerRequests
from nm_agents.supernode.replies import Replies
from nm_agents.supernode.worker import Worker
from nm_broker.project import sizes_for
from nm_bus.codec import LONG, Rejected, encode, id_of
from nm_bus.codes import (
    BAD_REQUEST,
    NO_LEDGER,
    NOT_ALLOWED,
    OK,
    REFUSED,
    UNAVAILABLE,
    UNKNOWN_NODE,
)
from nm_bus.core.overview import overview
from nm_bus.core.pages import first_page
from nm_bus.core.rate import Rate
from nm_bus.core.view import View
from nm_bus.core.windows import Windows
from nm_bus.errors import NmBusError
from nm_bus.identity.role import Role
from nm_bus.messages import (
    Alert,
    Answer,
    Ask,
    Data,
    Event,
    Hello,
    Message,
    NodeDetail,
    NodeId,
    Propose,
    Query,
    Read,
    Report,
    Seconds,
    Subscribe,
    Sync,
    Tail,
)
from nm_bus.protocol import TAILED
from nm_bus.settings import SupernodeSettings
from nm_bus.topology import (
    PEER_BYTES,
    LinkKind,
    alert_bindings,
    inbox_queue,
    inbox_topology,
    out_exchange,
    request_key,
    tail_queue,
    tail_topology,
)
from nm_bus.transport.base import Delivery, Outcome, Outgoing, Transport
from nm_bus.transport.reply_address import REPLY_PREFIX, reply_node

_LOG = logging.getLogger(__name__)

PATIENCE: Seconds = 30.0
"""How long a question to a member may stay open."""

MOST_OPEN = 1_000
"""Questions that may be open at once; one more is refused."""

BURST, PER_SECOND = 50, 20.0
"""The requests that a principal may make at once, and in the long run: one who floods does not
keep the others waiting."""

LEDGER_BURST, LEDGER_PER_SECOND = 500, 200.0
"""Those of the ledger's requests, which are small, and of which a busy component makes many."""

SYNC_COST = 10.0
"""What a page of the ledger costs of these, which is up to half a megabyte."""

TOO_FAST = "too many requests, slow down"
TOO_MANY_ANSWERS = "too many answers wait to be sent to you; read some first"

MOST_ALERTS = 5_000
"""How many active alerts one answer holds; it says when there are more."""

DETAIL_BYTES = PEER_BYTES // 2
"""How large the series of one answer may be, beside the member's state; it counts the others."""

MOST_TAILS = 20
"""The tail queues that a principal may have, read or not yet expired."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who waits for an answer: a client by its reply address, or the supernode that relayed it."""

    request: str
    reply_to: str = ""
    correlation_id: str | None = None
    user: NodeId = ""
    supernode: NodeId = ""


@dataclass(slots=True)
class Requests:
    """Answers what principals ask of one supernode."""

    settings: SupernodeSettings
    transport: Transport
    view: View
    windows: Windows
    active: Callable[[], list[Alert]]
    worker: Worker
    watch: BrokerWatch | None
    ledger: LedgerRequests | None = None
    reply_nodes: frozenset[bytes] = frozenset()
    """The broker's nodes, as reply addresses name them; empty when they need no check."""
    _open: dict[str, Asker] = field(default_factory=dict)
    _rate: Rate = field(default_factory=lambda: Rate(BURST, PER_SECOND))
    _ledger_rate: Rate = field(default_factory=lambda: Rate(LEDGER_BURST, LEDGER_PER_SECOND))
    _replies: Replies = field(init=False)
    floods: Counter[NodeId] = field(default_factory=Counter)
    """How many requests of each principal were refused because it asked too fast."""
    _tails: Rate = field(init=False)
    _tails_seen: Mapping[NodeId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._replies = Replies(self.transport)
        # at most twice the burst can be made before the first expires, hence half
        burst, lasts = MOST_TAILS // 2, sizes_for(self.settings.limits).tail_expires
        self._tails = Rate(burst, burst / lasts)

    def take(self, role: str, delivery: Delivery, event: Event[Message]) -> None:
        """Answer a request that passed its schema; the broker vouches for the sender and its
        role."""
        data, user = event.data, delivery.user_id or ""
        if isinstance(data, Report):
            self.reported(data, user)
            return
        asker = self._asker(delivery, event.id)
        if asker is None:
            _LOG.warning("a request of %s has no reply address of the broker's; dropped", user)
            return
        if not self._within_rate(data, user):
            self._too_fast(asker)
            return
        if delivery.key not in (type(data).__name__.lower(), request_key(data)):
            error = f"the key {delivery.key} is not what the message asks for"
            self._refuse(asker, NOT_ALLOWED, error)
            return
        self._answer(asker, data, user, role)

    def rejected(self, delivery: Delivery, rejected: Rejected) -> None:
        """Tell the asker why its message cannot be taken, so that it need not wait in vain."""
        asker = self._asker(delivery, id_of(delivery.body))
        if asker is None:
            return
        if self._rate.allows(delivery.user_id or "", self.transport.now()):
            self._refuse(asker, BAD_REQUEST, f"{rejected.reason}: {rejected.detail}")
        else:
            self._too_fast(asker)

    def _within_rate(self, data: Data, user: NodeId) -> bool:
        now = self.transport.now()
        if isinstance(data, Propose | Sync | Read):
            cost = SYNC_COST if isinstance(data, Sync) else 1.0
            return self._ledger_rate.allows(user, now, cost)
        return self._rate.allows(user, now)

    def _too_fast(self, asker: Asker) -> None:
        """Refuse, and say who floods: once when it begins, and more rarely as it goes on."""
        self.floods[asker.user] += 1
        count = self.floods[asker.user]
        if count & (count - 1) == 0:
            _LOG.warning("%s asks too fast: %d requests were refused", asker.user, count)
        self._refuse(asker, UNAVAILABLE, TOO_FAST)

    def tails_seen(self, tails: Mapping[NodeId, int]) -> None:
        """How many tail queues each principal had when the broker was last looked at."""
        self._tails_seen = tails

    def _asker(self, delivery: Delivery, request: str) -> Asker | None:
        reply_to = delivery.reply_to or ""
        if not reply_to.startswith(REPLY_PREFIX):
            return None
        if self.reply_nodes and reply_node(reply_to) not in self.reply_nodes:
            return None
        return Asker(request, reply_to, delivery.correlation_id, delivery.user_id or "")

    def _answer(self, asker: Asker, data: Data, user: NodeId, role: str) -> None:
        match data:
            case Hello():
                self._hello(asker, user, role)
            case Query():
                self._query(asker, data)
            case Ask():
                self.ask(asker, data)
            case Subscribe():
                self._subscribe(asker, data, user)
            case Tail():
                self._tail(asker, data, user)
            case Propose() | Sync() | Read():
                self._of_ledger(asker, data, user)
            case _:
                self._refuse(asker, BAD_REQUEST, f"{type(data).__name__} is no request")

    # --- introductions and queues

    def _hello(self, asker: Asker, user: NodeId, role: str) -> None:
        """Make the inbox. What the asker is, the broker has checked; nobody is asked for it."""
        is_member = role == Role.MEMBER
        if self.ledger is not None and is_member:
            self.ledger.joined(user)
        sizes = sizes_for(self.settings.limits)
        topology = inbox_topology(user, sizes, hears_updates=is_member)
        answer = {"queue": inbox_queue(user), "supernode": self.settings.node}
        self.transport.declare(topology, partial(self._declared, asker, answer), renew=False)

    def _tail(self, asker: Asker, tail: Tail, user: NodeId) -> None:
        if tail.exchange not in TAILED:
            known = ", ".join(sorted(TAILED))
            self._refuse(asker, BAD_REQUEST, f"there is no {tail.exchange!r}; use {known}")
            return
        if not self._may_tail(user):
            error = "you have too many tail queues; end some readers, or wait a minute"
            self._refuse(asker, UNAVAILABLE, error)
            return
        name = secrets.token_hex(8)
        sizes = sizes_for(self.settings.limits)
        topology = tail_topology(user, name, tail.exchange, tail.key, sizes)
        answer = {"queue": tail_queue(user, name)}
        self.transport.declare(topology, partial(self._declared, asker, answer), renew=False)

    def _may_tail(self, user: NodeId) -> bool:
        few = self._tails_seen.get(user, 0) < MOST_TAILS
        return few and self._tails.allows(user, self.transport.now())

    def _declared(self, asker: Asker, answer: dict[str, str], outcome: Outcome) -> None:
        if outcome is Outcome.CONFIRMED:
            self._reply(asker, answer)
        else:
            self._refuse(asker, UNAVAILABLE, f"the broker did not make the queue ({outcome})")

    def _subscribe(self, asker: Asker, wanted: Subscribe, user: NodeId) -> None:
        if self.watch is None:
            self._refuse(asker, UNAVAILABLE, "this supernode has no management API configured")
            return
        keys = alert_bindings(wanted.severities, wanted.under)
        job = partial(self.watch.subscribe, user, wanted.name, keys)
        self.worker.call(job, partial(self._subscribed, asker))

    def _subscribed(self, asker: Asker, queue: str | NmBusError) -> None:
        if isinstance(queue, NmBusError):
            self._refuse(asker, UNAVAILABLE, str(queue))
        else:
            self._reply(asker, {"queue": queue})

    # --- the ledger

    def _of_ledger(self, asker: Asker, asked: Propose | Sync | Read, user: NodeId) -> None:
        if self.ledger is None:
            node = self.settings.node
            error = f"{node} has no ledger; run nm-bus init there, or ask another supernode"
            self._refuse(asker, NO_LEDGER, error)
        else:
            self.ledger.take(asked, user, partial(self._given, asker))

    def _given(self, asker: Asker, given: Given) -> None:
        self._send(asker, partial(_answer_of, asker.request, given))

    # --- queries

    def _query(self, asker: Asker, query: Query) -> None:
        now = self.transport.now()
        match query.what:
            case "status":
                self._reply(asker, overview(self.view, self.active(), query.page, now))
            case "alerts":
                alerts, more = first_page(self.active(), MOST_ALERTS)
                self._reply(asker, {"alerts": alerts, "more": more})
            case "time":
                self._reply(asker, {"now": now})
            case "node":
                self._detail(asker, query.node, now)
            case _:
                known = "status, node, alerts or time"
                self._refuse(asker, BAD_REQUEST, f"what is {query.what!r}; use {known}")

    def _detail(self, asker: Asker, node: NodeId, now: Seconds) -> None:
        member = self.view.member(node, now)
        if member is None:
            self._refuse(asker, UNKNOWN_NODE, unknown(node))
        else:
            series = self.windows.node(node, now)
            told, _ = first_page(series.items(), len(series), DETAIL_BYTES)
            self._reply(asker, NodeDetail(member, dict(told), len(series) - len(told)))

    # --- questions to members

    def ask(self, asker: Asker, ask: Ask) -> None:
        """Hand a question to the member, by way of its home; its report is the answer."""
        home = self.view.home(ask.node)
        if home is None:
            self._refuse(asker, UNKNOWN_NODE, unknown(ask.node))
        elif len(self._open) >= MOST_OPEN:
            self._refuse(asker, UNAVAILABLE, "too many questions are open; ask again later")
        elif home == self.settings.node:
            self._hand(asker, ask, "", inbox_queue(ask.node))
        elif asker.supernode:
            self._refuse(asker, UNAVAILABLE, f"{ask.node} has just moved to {home}; ask again")
        else:
            self._hand(asker, ask, out_exchange(home), f"{LinkKind.CONTROL}.ask")

    def _hand(self, asker: Asker, ask: Ask, exchange: str, key: str) -> None:
        relayed = msgspec.structs.replace(ask, request=secrets.token_hex(16))
        self._open[relayed.request] = asker
        self.transport.later(PATIENCE, partial(self._give_up, relayed.request, ask.node))
        body = self._encoded(relayed)
        self.transport.publish(Outgoing(exchange, key, body, expiration=PATIENCE))

    def reported(self, report: Report, user: NodeId, *, relayed: bool = False) -> None:
        """A member answers, or its supernode for it; one that nobody waits for is dropped."""
        if not relayed and report.node != user:
            _LOG.warning("%s sent an answer in the name of %s; it is dropped", user, report.node)
            return
        asker = self._open.pop(report.request, None)
        if asker is None:
            return
        if asker.supernode:
            answer = msgspec.structs.replace(report, request=asker.request)
            self._relay(asker.supernode, answer)
        elif report.ok:
            self._reply(asker, report.answer)
        else:
            self._refuse(asker, REFUSED, report.error)

    def _give_up(self, request: str, node: NodeId) -> None:
        asker = self._open.pop(request, None)
        if asker is not None:
            self._refuse(asker, UNAVAILABLE, f"{node} did not answer within {PATIENCE:g} s")

    # --- the answers themselves

    def _reply(self, asker: Asker, data: object) -> None:
        self._send(asker, lambda: Answer(asker.request, ok=True, data=msgspec.to_builtins(data)))

    def _refuse(self, asker: Asker, code: str, error: str) -> None:
        error = error[:LONG]
        if asker.supernode:
            report = Report(asker.request, self.settings.node, ok=False, error=error)
            self._relay(asker.supernode, report)
        else:
            refusal = Answer(asker.request, ok=False, code=code, error=error)
            self.transport.publish(self._outgoing(asker, refusal))

    def _send(self, asker: Asker, make: Callable[[], Answer]) -> None:
        """Answer in turn. What is only a refusal, and small, goes at once."""
        if not self._replies.give(asker.user, lambda: self._outgoing(asker, make())):
            self._refuse(asker, UNAVAILABLE, TOO_MANY_ANSWERS)

    def _outgoing(self, asker: Asker, answer: Answer) -> Outgoing:
        body, correlation = self._encoded(answer), asker.correlation_id
        return Outgoing("", asker.reply_to, body, correlation_id=correlation)

    def _relay(self, supernode: NodeId, report: Report) -> None:
        key = f"{LinkKind.CONTROL}.report"
        self.transport.publish(Outgoing(out_exchange(supernode), key, self._encoded(report)))

    def _encoded(self, message: Message) -> bytes:
        return encode(
            message,
            source=self.settings.node,
            id=secrets.token_hex(16),
            time=self.transport.now(),
        )


def _answer_of(request: str, given: Given) -> Answer:
    found = given.later() if given.later else given.data
    data: dict[str, object] = {} if found is None else msgspec.to_builtins(found)
    return Answer(request, given.code == OK, code=given.code, error=given.error[:LONG], data=data)


def unknown(node: NodeId) -> str:
    """What is said of a node of which no supernode has received anything."""
    return f"{node} is no known node; see `nm-bus status --all`"
