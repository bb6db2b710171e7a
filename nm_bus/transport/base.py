"""The `Transport` protocol: how a program sends, listens and waits, over any carrier.

A program is callbacks on one loop, without locks. Everything a program asked for once (consumers,
topology) is renewed by the transport after a reconnection; nothing in flight is repeated by it:
the outcome of every publication is told to who asked, once.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from nm_bus.codec import CONTENT_TYPE
from nm_bus.messages import Seconds
from nm_bus.topology import Topology


class Flow(StrEnum):
    """Whether messages can be sent now."""

    CONNECTING = "connecting"
    UP = "up"
    BLOCKED = "blocked"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Status:
    """The transport's state with its reason, such as `blocked` by `memory alarm`."""

    flow: Flow
    reason: str = ""
    since: Seconds = 0.0


class Outcome(StrEnum):
    """What became of a publication. Only CONFIRMED means that the broker has it."""

    CONFIRMED = "confirmed"
    NACKED = "nacked"
    REFUSED = "refused"
    LOST = "lost"
    TIMED_OUT = "timed-out"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. Exchange "" with a queue's name as key reaches that queue.

    `reply_to` and `correlation_id` are for answers; `expiration` is in seconds.
    """

    exchange: str
    key: str
    body: bytes
    persistent: bool = False
    reply_to: str | None = None
    correlation_id: str | None = None
    expiration: Seconds | None = None
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str = CONTENT_TYPE
    user_id: str | None = None


@dataclass(slots=True)
class Delivery:
    """A message as it came. `user_id` is the broker's word on who sent it, or None.

    `epoch` is the connection it came by: an ack for an earlier one is silently useless.
    """

    body: bytes
    exchange: str
    key: str
    user_id: str | None
    queue: str
    tag: int
    epoch: int
    redelivered: bool = False
    reply_to: str | None = None
    correlation_id: str | None = None
    headers: dict[str, Any] | None = None


class Timer(Protocol):
    """A call that will be made once, unless cancelled before."""

    def cancel(self) -> None:
        """Forget the call. Harmless when it was made already."""


Consume = Callable[[Delivery], None]
Published = Callable[[Outcome], None]
Answered = Callable[[Delivery | None], None]
Changed = Callable[[Status], None]


class Transport(Protocol):
    """A way to and from one broker. All callbacks run on the loop of `run`."""

    @property
    def status(self) -> Status:
        """The state now."""

    def on_status(self, changed: Changed) -> None:
        """Call `changed` at each change of state."""

    def now(self) -> Seconds:
        """Seconds since 1970 that never jump: the wall clock at start, steady from there on."""

    def declare(
        self, topology: Topology, done: Published | None = None, *, renew: bool = True
    ) -> None:
        """Declare all of it, now if up and again after each reconnection. Needs configure.

        What was asked for before is declared before the state becomes UP and readers read.
        `done` is told CONFIRMED or REFUSED the first time it was tried. With `renew` false it is
        declared now or never (LOST): for queues that come and go. These are made several at once,
        those of one name one after the other.
        """

    def publish(self, message: Outgoing, done: Published | None = None) -> None:
        """Send with a publisher confirm and tell the outcome once, within the confirm limit.

        While not up, nothing is kept: the outcome is LOST at once (BLOCKED: TIMED_OUT after the
        limit), but never before this returns. Keeping is the caller's choice, since only the
        caller knows what grows stale. When too many wait for their outcome, one more is LOST.
        """

    def consume(
        self,
        queue: str,
        handler: Consume,
        *,
        prefetch: int = 100,
        exclusive: bool = False,
    ) -> None:
        """Read a queue from now on and after each reconnection. A queue is consumed once.

        A refused or missing queue is tried again with growing pauses and shown in the log.
        """

    def cancel(self, queue: str) -> None:
        """Stop reading a queue; what was not acknowledged goes back to it."""

    def ack(self, delivery: Delivery, *, multiple: bool = False) -> None:
        """Done with it; `multiple`: and with everything delivered before it from that queue."""

    def reject(self, delivery: Delivery, *, requeue: bool = False) -> None:
        """Not done with it: drop it to the queue's dead-letter exchange, or requeue."""

    def request(self, message: Outgoing, answered: Answered, *, timeout: Seconds) -> None:
        """Publish with the broker's direct reply-to; give the answer, or None when none came."""

    def later(self, delay: Seconds, call: Callable[[], None]) -> Timer:
        """Make a call on the loop after `delay` seconds."""

    def call_threadsafe(self, call: Callable[[], None]) -> None:
        """Make a call on the loop as soon as may be; the one method other threads may use."""

    def run(self) -> None:
        """Connect, and serve until `stop`; reconnect for ever, with bounded and jittered pauses.

        Raises ConfigError when trying again cannot help: a certificate that is missing, expired or
        refused, an unknown user, a vhost that is not there.
        """

    def stop(self) -> None:
        """End `run` in good order: what was published is given a moment to be confirmed."""


# --- The broker's own reply addresses, told from what somebody made up. Pure.
#
# A made-up one is no mere nonsense: RabbitMQ 3 takes it apart, fails, and closes the connection of
# whoever answers. So one request could cut a service off, again and again.

REPLY_TO = "amq.rabbitmq.reply-to"
"""What an asker reads, and gives for its address; the broker puts the real one in its place."""

REPLY_PREFIX = f"{REPLY_TO}."

_PROCESS = re.compile(rb"\x83Xv\x00(?P<length>.)(?P<node>reply@[0-9]{1,10}).{12}", re.DOTALL)
"""An Erlang process id on a node without its name: in Erlang's external term format."""


def is_reply_address(key: str) -> bool:
    """Whether a broker could have given this address: a process, a dot, and the asker's secret."""
    process, dot, secret = key.removeprefix(REPLY_PREFIX).partition(".")
    if not key.startswith(REPLY_PREFIX) or not dot or not _decoded(secret):
        return False
    found = _PROCESS.fullmatch(_decoded(process))
    return found is not None and found["length"][0] == len(found["node"])


def reply_node(key: str) -> bytes:
    """Which of a broker's nodes a reply address leads to, as `address_of` names them."""
    process = key.removeprefix(REPLY_PREFIX).partition(".")[0]
    found = _PROCESS.fullmatch(_decoded(process))
    return found["node"] if found else b""


def address_of(node: str) -> bytes:
    """How reply addresses name a node of a broker: by Erlang's `phash2` of its name, an atom,
    which is the hash of P. J. Weinberger cut to 27 bits."""
    value = 0
    for byte in node.encode():
        value = (value << 4) + byte
        high = value & 0xF000_0000
        value ^= high | high >> 24
    return b"reply@%d" % (value & 0x7FF_FFFF)


def _decoded(text: str) -> bytes:
    """Base64 of either alphabet, padded or not; nothing when it is none."""
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
