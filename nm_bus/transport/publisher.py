"""The publishing channel: confirms with a limit, and requests over the broker's direct reply-to.

When the broker closes the channel over one message, a new channel is opened at once; the
connection and everything else on it go on.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import pika
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.spec import Basic

from nm_bus.messages import Seconds
from nm_bus.transport.base import Answered, Delivery, Outcome, Outgoing, Published
from nm_bus.transport.confirms import Confirms, Told, Unconfirmed
from nm_bus.transport.loop import Loop, LoopTimer
from nm_bus.transport.reconnect import Pauses
from nm_bus.transport.reply_address import REPLY_PREFIX, REPLY_TO, is_reply_address

LOGGER = logging.getLogger(__name__)
MOST_WAITING = 50_000
"""Publications that may wait for their outcome at once; one more is LOST at once."""


def _nobody(_outcome: Outcome) -> None:
    """Nobody wants to know."""


class Publisher:
    """Publishes as `user` on one channel of whatever connection it was given last."""

    def __init__(
        self, loop: Loop, user: str, limit: Seconds, pauses: Pauses, ready: Callable[[], None]
    ) -> None:
        self._loop, self._user, self._limit, self._pauses = loop, user, limit, pauses
        self._ready_now = ready
        self._channel: Channel | None = None
        self._tag = 0
        self._confirms = Confirms()
        self._held = Confirms()
        self._held_tags = count(1)
        self._sweep: LoopTimer | None = None
        self._requests: dict[str, tuple[Answered, LoopTimer]] = {}
        self._request_ids = count(1)
        self.blocked = False

    @property
    def ready(self) -> bool:
        """Whether the channel is open, confirms are on, and answers can come."""
        return self._channel is not None

    @property
    def waiting(self) -> int:
        """How many publications have no outcome yet."""
        return len(self._confirms)

    # --- the channel's life

    def open(self, connection: pika.SelectConnection) -> None:
        """Open the channel on a connection that is open."""
        if connection.is_open:
            connection.channel(on_open_callback=self._opened)

    def _opened(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._closed)
        channel.confirm_delivery(self._confirmed, callback=lambda _: None)
        channel.basic_consume(
            REPLY_TO,
            self._answered,
            auto_ack=True,
            callback=lambda _: self._usable(channel),
        )

    def _usable(self, channel: Channel) -> None:
        self._channel, self._tag = channel, 0
        self._pauses.reset()
        self._ready_now()

    def _closed(self, channel: Channel, reason: Exception) -> None:
        was_ready, self._channel = self.ready, None
        text = reason.reply_text if isinstance(reason, ChannelClosedByBroker) else ""
        self._tell(self._confirms.lose(text) + self._held.lose())
        for request in list(self._requests):
            self._answer(request, None)
        if not text:
            return
        LOGGER.warning("the broker refused a publication: %s", text)
        pause = 0.0 if was_ready else self._pauses.next()
        self._loop.later(pause, partial(self.open, channel.connection))

    # --- publishing

    def publish(self, message: Outgoing, done: Published | None = None) -> None:
        """Send, and tell the outcome once and never before this returns."""
        told = done or _nobody
        channel = self._channel
        full = len(self._confirms) + len(self._held) >= MOST_WAITING
        if channel is None or not channel.is_open or full:
            self._loop.soon(partial(told, Outcome.LOST))
            return
        if _nobodys(message):
            LOGGER.warning(
                "an answer to %.100r is dropped: no broker gave that address", message.key
            )
            self._loop.soon(partial(told, Outcome.REFUSED))
            return
        if message.user_id is None:
            message = replace(message, user_id=self._user)
        waiting = Unconfirmed(message, self._loop.now() + self._limit, told)
        if self.blocked:
            self._held.add(next(self._held_tags), waiting)
        else:
            channel.basic_publish(message.exchange, message.key, message.body, properties(message))
            self._tag += 1
            self._confirms.add(self._tag, waiting)
        self._arm()

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        outcome = Outcome.CONFIRMED if isinstance(method, Basic.Ack) else Outcome.NACKED
        self._tell(self._confirms.settle(method.delivery_tag, outcome, multiple=method.multiple))

    def _arm(self) -> None:
        if self._sweep is None:
            self._sweep = self._loop.later(self._limit, self._expire)

    def _expire(self) -> None:
        now = self._loop.now()
        self._sweep = None
        self._tell(self._confirms.expire(now) + self._held.expire(now))
        deadlines = (self._confirms.next_deadline(), self._held.next_deadline())
        first = min((d for d in deadlines if d is not None), default=None)
        if first is not None and self._sweep is None:
            self._sweep = self._loop.later(first - now, self._expire)

    def _tell(self, told: list[Told]) -> None:
        for done, outcome in told:
            self._loop.call(partial(done, outcome))

    # --- requests

    def request(self, message: Outgoing, answered: Answered, timeout: Seconds) -> None:
        """Publish and give the answer, or None when it cannot come or did not come in time."""
        request = str(next(self._request_ids))
        timer = self._loop.later(timeout, partial(self._answer, request, None))
        self._requests[request] = (answered, timer)
        asked = replace(message, reply_to=REPLY_TO, correlation_id=request)
        self.publish(asked, partial(self._asked, request))

    def _asked(self, request: str, outcome: Outcome) -> None:
        if outcome not in (Outcome.CONFIRMED, Outcome.TIMED_OUT):
            self._answer(request, None)

    def _answered(
        self, _channel: Channel, _method: Any, properties: pika.BasicProperties, body: bytes
    ) -> None:
        answer = Delivery(
            body, "", REPLY_TO, properties.user_id, REPLY_TO, 0, 0, headers=properties.headers
        )
        answer.correlation_id = properties.correlation_id
        self._answer(properties.correlation_id or "", answer)

    def _answer(self, request: str, answer: Delivery | None) -> None:
        """Give the answer to who asked; one that comes late finds nobody and is dropped."""
        answered, timer = self._requests.pop(request, (None, None))
        if answered is None or timer is None:
            return
        timer.cancel()
        self._loop.call(partial(answered, answer))


def _nobodys(message: Outgoing) -> bool:
    """Whether a message is an answer to an address that no broker gave."""
    if message.exchange or not message.key.startswith(REPLY_PREFIX):
        return False
    return not is_reply_address(message.key)


def properties(message: Outgoing) -> pika.BasicProperties:
    """Make the AMQP properties of a message."""
    return pika.BasicProperties(
        content_type=message.content_type,
        delivery_mode=2 if message.persistent else 1,
        user_id=message.user_id,
        reply_to=message.reply_to,
        correlation_id=message.correlation_id,
        expiration=None if message.expiration is None else str(round(message.expiration * 1000)),
        headers=message.headers or None,
    )
