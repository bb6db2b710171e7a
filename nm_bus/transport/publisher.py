"""The publishing channel: confirms with a limit, and requests over the broker's direct reply-to.

When the broker closes the channel over one message, a new channel is opened at once; the
connection and everything else on it go on.
"""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import pika
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.spec import Basic

from nm_bus.messages import Seconds
from nm_bus.transport.base import (
    REPLY_PREFIX,
    REPLY_TO,
    Answered,
    Delivery,
    Outcome,
    Outgoing,
    Published,
    is_reply_address,
)
from nm_bus.transport.loop import Loop, LoopTimer
from nm_bus.transport.reconnect import Pauses

# --- Publications that wait for the broker's word: each gets one outcome, or runs out of time.
#
# Pure: time comes in as an argument, and the owner makes the calls that are given back.

Told = tuple[Published, Outcome]


@dataclass(slots=True)
class Unconfirmed:
    """A publication without an outcome yet."""

    message: Outgoing
    deadline: Seconds
    done: Published


class Confirms:
    """What waits, by delivery tag, the oldest first (all wait equally long)."""

    def __init__(self) -> None:
        self._waiting: dict[int, Unconfirmed] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, tag: int, waiting: Unconfirmed) -> None:
        """Wait for `tag`, which is greater than every tag before it."""
        self._waiting[tag] = waiting

    def settle(self, tag: int, outcome: Outcome, *, multiple: bool) -> list[Told]:
        """Take the broker's word on `tag`; `multiple`: and on all before it."""
        tags = list(self._until(tag)) if multiple else [tag]
        found = [self._waiting.pop(t, None) for t in tags]
        return [(waiting.done, outcome) for waiting in found if waiting is not None]

    def _until(self, tag: int) -> Iterator[int]:
        for waiting in self._waiting:
            if waiting > tag:
                return
            yield waiting

    def expire(self, now: Seconds) -> list[Told]:
        """Give up what has waited until `now`."""
        late = []
        for tag, waiting in self._waiting.items():
            if waiting.deadline > now:
                break
            late.append(tag)
        return [(self._waiting.pop(tag).done, Outcome.TIMED_OUT) for tag in late]

    def next_deadline(self) -> Seconds | None:
        """When the oldest runs out of time, or None when nothing waits."""
        return next((waiting.deadline for waiting in self._waiting.values()), None)

    def lose(self, refusal: str = "") -> list[Told]:
        """Give up all: the channel is gone. The one that the broker's `refusal` names is refused.

        The broker says which exchange, key, user or size it refuses, but not which publication.
        """
        lost, self._waiting = list(self._waiting.values()), {}
        alone = len(lost) == 1
        guilty = next((w for w in lost if refusal and (alone or names(refusal, w.message))), None)
        return [(w.done, Outcome.REFUSED if w is guilty else Outcome.LOST) for w in lost]


_SIZE = re.compile(r"message size (\d+)")
_TOPIC = re.compile(r"topic '([^']*)' in exchange '([^']*)'")
_EXCHANGE = re.compile(r"exchange '([^']*)'")
_USER = re.compile(r"user_id property set to '([^']*)'")


def names(refusal: str, message: Outgoing) -> bool:
    """Tell whether the text with which RabbitMQ closed a channel is about this message."""
    if found := _SIZE.search(refusal):
        return len(message.body) == int(found[1])
    if found := _USER.search(refusal):
        return message.user_id == found[1]
    if found := _TOPIC.search(refusal):
        return (message.key, message.exchange) == (found[1], found[2])
    if found := _EXCHANGE.search(refusal):
        return message.exchange in (found[1], "" if found[1] == "amq.default" else found[1])
    return False


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
        if self._sweep is None:
            self._sweep = self._loop.later(self._limit, self._expire)

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        outcome = Outcome.CONFIRMED if isinstance(method, Basic.Ack) else Outcome.NACKED
        self._tell(self._confirms.settle(method.delivery_tag, outcome, multiple=method.multiple))

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
