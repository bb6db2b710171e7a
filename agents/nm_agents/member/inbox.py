"""The member's inbox: it introduces itself, is given a queue, and reads there: asks and updates.

Only the member's own supernode may speak; the broker's word on who sent a message decides, never
the message. What comes is acknowledged before it is answered or taken: what kills the agent is not
repeated; who hears nothing asks again, and an update that is missed is asked for.
"""

import logging
from collections.abc import Callable
from functools import partial

from nm_agents.host.inbound import AckedFirst, Channel, Inbound, Routes
from nm_agents.host.sender import Sender
from nm_agents.quarantine import Kept
from nm_bus import codec
from nm_bus.codec import Decoded, Reason, Rejected
from nm_bus.identity.role import MEMBER
from nm_bus.messages import Answer, Ask, Event, Hello, Message, NodeId, Report, Seconds, Update
from nm_bus.topology import PEER_BYTES, UPDATES, inbox_queue, request_exchange, request_key
from nm_bus.transport.base import Delivery, Flow, Outgoing
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)

ANSWER_WITHIN: Seconds = 10.0
"""How long the supernode may take to answer a hello."""

PREFETCH = 10

Reply = Callable[[Report], None]


class Inbox:
    """Says hello at each connection, until it is answered, and hands on what comes."""

    def __init__(
        self,
        node: NodeId,
        sender: Sender,
        pauses: Pauses,
        *,
        hello: Hello,
        asked: Callable[[Ask, Reply], None],
        updated: Callable[[Update], None],
        spoken: Callable[[], None],
    ) -> None:
        self._node, self._sender, self._transport = node, sender, sender.transport
        self._supernode: NodeId | None = None
        """Who answered the last hello, by the broker's word. A host may have another name."""
        self._pauses, self._hello, self._asked, self._updated = pauses, hello, asked, updated
        self._spoken = spoken
        """Called after each hello, whether it was answered or not."""
        self._inbound = Inbound(self._transport, self._ignore)
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
            body = self._sender.encoded(self._hello)
            hello = Outgoing(request_exchange(MEMBER), request_key(self._hello), body)
            answered = partial(self._welcomed, connection)
            self._transport.request(hello, answered, timeout=ANSWER_WITHIN)

    def _welcomed(self, connection: int, answer: Delivery | None) -> None:
        if connection != self._connection:
            return
        complaint = _complaint(answer)
        # one line when it changes, not one an attempt.
        if complaint and complaint != self._complaint:
            LOGGER.warning("no inbox yet: %s", complaint)
        elif self._complaint and not complaint:
            LOGGER.info("the supernode has made the inbox")
        self._complaint = complaint
        if answer is not None and not complaint:
            self._supernode = answer.user_id
        if complaint:
            self._transport.later(self._pauses.next(), partial(self._say_hello, connection))
        elif not self._consuming:
            self._consuming = True
            self._listen()
        self._spoken()

    def _listen(self) -> None:
        settling = AckedFirst(self._transport)
        queue = inbox_queue(self._node)
        self._inbound.listen(Channel(queue, self._vouch, settling, _read, prefetch=PREFETCH))

    def _vouch(self, event: Event[Message], delivery: Delivery, _now: Seconds) -> Routes | Rejected:
        if delivery.user_id is None or delivery.user_id != self._supernode:
            return Rejected(Reason.NOT_SENDER, f"{delivery.user_id} is not the supernode")
        return {Update: self._update, Ask: self._ask}

    def _update(self, event: Event[Update], _delivery: Delivery, _now: Seconds) -> None:
        self._updated(event.data)

    def _ask(self, event: Event[Ask], _delivery: Delivery, _now: Seconds) -> Rejected | None:
        if event.data.node != self._node:
            return Rejected(Reason.NOT_SENDER, f"{event.data.node} is asked, not this node")
        self._asked(event.data, self._reply)
        return None

    def _ignore(self, delivery: Delivery, rejected: Rejected, _kept: Kept) -> None:
        """A member has no quarantine: what it refuses is counted, and the first one is logged."""
        self.ignored += 1
        if self.ignored == 1:
            who, why = delivery.user_id, f"{rejected.reason}: {rejected.detail}"
            LOGGER.warning("a message from %s in the inbox is ignored: %s", who, why)

    def _reply(self, report: Report) -> None:
        self._sender.publish(request_exchange(MEMBER), request_key(report), report)


def _read(delivery: Delivery) -> Decoded:
    """Only the supernode writes here, which keeps to the schemas; so no validator is loaded."""
    if delivery.exchange == UPDATES:
        return codec.read(delivery.body, Update, limit=PEER_BYTES)
    return codec.read(delivery.body, Ask)


def _complaint(answer: Delivery | None) -> str:
    """Why a hello was not successful; empty when it was."""
    if answer is None:
        return "the supernode does not answer"
    event = codec.read(answer.body, Answer)
    if not isinstance(event, Event):
        return "the supernode's answer cannot be read"
    return "" if event.data.ok else event.data.error or event.data.code
