"""The member's inbox: it introduces itself, is given a queue, and reads there: asks and updates.

Only the member's own supernode may speak; the broker's word on who sent a message decides, never
the message. What comes is acknowledged before it is answered or taken: what kills the agent is not
repeated; who hears nothing asks again, and an update that is missed is asked for.
"""

import logging
from collections.abc import Callable
from functools import partial

from nm_bus import codec
from nm_bus.identity.role import MEMBER
from nm_bus.messages import Answer, Ask, Event, Hello, Message, NodeId, Report, Seconds, Update
from nm_bus.topology import PEER_BYTES, UPDATES, inbox_queue, request_exchange, request_key
from nm_bus.transport.base import Delivery, Flow, Outgoing, Transport
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)

ANSWER_WITHIN: Seconds = 10.0
"""How long the supernode may take to answer a hello."""

PREFETCH = 10

Encode = Callable[[Message], bytes]
Reply = Callable[[Report], None]


class Inbox:
    """Says hello at each connection, until it is answered, and hands on what comes."""

    def __init__(
        self,
        node: NodeId,
        transport: Transport,
        pauses: Pauses,
        *,
        hello: Hello,
        encode: Encode,
        asked: Callable[[Ask, Reply], None],
        updated: Callable[[Update], None],
    ) -> None:
        self._node, self._transport = node, transport
        self._supernode: NodeId | None = None
        """Who answered the last hello, by the broker's word. A host may have another name."""
        self._pauses, self._hello, self._encode, self._asked = pauses, hello, encode, asked
        self._updated = updated
        self._connection = 0
        self._consuming = False
        self._complaint = ""
        self.ignored = 0

    @property
    def supernode(self) -> NodeId | None:
        """Who answered the last hello; None while nobody did."""
        return self._supernode

    def flow_changed(self, flow: Flow) -> None:
        """Say hello at each connection: the broker may be a new one that knows no inbox."""
        self._connection += 1
        if flow is Flow.UP:
            self._pauses.reset()
            self._say_hello(self._connection)

    def _say_hello(self, connection: int) -> None:
        if connection == self._connection:
            hello = self._request(self._hello)
            answered = partial(self._welcomed, connection)
            self._transport.request(hello, answered, timeout=ANSWER_WITHIN)

    def _welcomed(self, connection: int, answer: Delivery | None) -> None:
        if connection != self._connection:
            return
        complaint = _complaint(answer)
        self._say(complaint)
        if answer is not None and not complaint:
            self._supernode = answer.user_id
        if complaint:
            self._transport.later(self._pauses.next(), partial(self._say_hello, connection))
        elif not self._consuming:
            self._consuming = True
            self._transport.consume(inbox_queue(self._node), self._came, prefetch=PREFETCH)

    def _say(self, complaint: str) -> None:
        """One line when it changes, not one an attempt."""
        if complaint and complaint != self._complaint:
            LOGGER.warning("no inbox yet: %s", complaint)
        elif self._complaint and not complaint:
            LOGGER.info("the supernode has made the inbox")
        self._complaint = complaint

    def _came(self, delivery: Delivery) -> None:
        self._transport.ack(delivery)
        if delivery.user_id is None or delivery.user_id != self._supernode:
            self._ignore(delivery)
        elif delivery.exchange == UPDATES:
            self._update(delivery)
        else:
            self._ask(delivery)

    def _update(self, delivery: Delivery) -> None:
        update = codec.read(delivery.body, Update, limit=PEER_BYTES)
        if isinstance(update, Event):
            self._updated(update.data)
        else:
            self._ignore(delivery)

    def _ask(self, delivery: Delivery) -> None:
        ask = codec.read(delivery.body, Ask)
        if isinstance(ask, Event) and ask.data.node == self._node:
            self._asked(ask.data, self._reply)
        else:
            self._ignore(delivery)

    def _ignore(self, delivery: Delivery) -> None:
        self.ignored += 1
        if self.ignored == 1:
            LOGGER.warning("a message from %s in the inbox is ignored", delivery.user_id)

    def _reply(self, report: Report) -> None:
        self._transport.publish(self._request(report))

    def _request(self, message: Message) -> Outgoing:
        return Outgoing(request_exchange(MEMBER), request_key(message), self._encode(message))


def _complaint(answer: Delivery | None) -> str:
    """Why a hello was not successful; empty when it was."""
    if answer is None:
        return "the supernode does not answer"
    event = codec.read(answer.body, Answer)
    if not isinstance(event, Event):
        return "the supernode's answer cannot be read"
    return "" if event.data.ok else event.data.error or event.data.code
