"""What RabbitMQ's management API answers, as far as it is read here; all other fields are ignored.

A field with a default is one that RabbitMQ leaves out, or gives as null, now and then: a queue just
declared has no counts yet, a node that is down states no limits, a connection just opened no user.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]

Amount = Count | str | None
"""A measure of a node; a word where the broker does not measure it, such as `unknown`."""

QueueName = Annotated[str, Meta(max_length=255)]
"""AMQP's own bound."""

Version = Annotated[str, Meta(max_length=64)]
"""As long as a supernode may report it."""


class Named(Struct, frozen=True):
    """A vhost, an exchange or a queue, of which only the name matters."""

    name: str


class User(Struct, frozen=True):
    """Who may log in."""

    name: str
    tags: tuple[str, ...] = ()


class Permission(Struct, frozen=True):
    """What one user may do in one vhost, as regular expressions."""

    user: str
    vhost: str
    configure: str
    write: str
    read: str


class TopicPermission(Struct, frozen=True):
    """The routing keys that one user may use at one exchange, as regular expressions."""

    user: str
    vhost: str
    exchange: str
    write: str
    read: str


class MessageStats(Struct, frozen=True):
    """What a queue has counted since it was declared."""

    ack: Count | None = None


class QueueAnswer(Struct, frozen=True):
    """A queue and what lies in it; its statistics are `[]` where it knows none that was asked."""

    name: QueueName
    messages: Count | None = None
    messages_ready: Count | None = None
    messages_unacknowledged: Count | None = None
    message_stats: MessageStats | tuple[()] | None = None

    @property
    def acked(self) -> int:
        """How many messages its readers confirmed."""
        stats = self.message_stats
        return (stats.ack or 0) if isinstance(stats, MessageStats) else 0


class QueuePage(Struct, frozen=True):
    """Some of the queues that were asked for, and in how many pages all of them are: no more than a
    broker could hold, since each one is asked for."""

    items: tuple[QueueAnswer, ...]
    page_count: Annotated[int, Meta(ge=0, le=1_000)]


class BindingAnswer(Struct, frozen=True):
    """What leads messages to a queue; `properties_key` is its name in the API."""

    source: str
    routing_key: str
    properties_key: str


class Message(Struct, frozen=True):
    """A message that was read out of a queue, in the encoding that was asked for."""

    payload: str


class ShovelParameter(Struct, frozen=True):
    """The settings of a shovel."""

    name: str
    value: dict[str, Any]


class Shovel(Struct, frozen=True):
    """What a shovel says of itself; `timestamp` is when it last changed."""

    name: str
    state: str | None = None
    reason: str | None = None
    timestamp: str | None = None


class ConnectionAnswer(Struct, frozen=True):
    """An open connection."""

    name: str | None = None
    user: str | None = None


class OverviewAnswer(Struct, frozen=True):
    """The broker's statement of itself."""

    rabbitmq_version: Version
    node: str = ""


class NodeAnswer(Struct, frozen=True):
    """A node of the broker: its use of the host, the limits, and alarms."""

    name: str
    mem_alarm: bool | None = None
    mem_used: Amount = None
    mem_limit: Amount = None
    disk_free_alarm: bool | None = None
    disk_free: Amount = None
    disk_free_limit: Amount = None
    fd_used: Amount = None
    fd_total: Amount = None
    sockets_used: Amount = None
    sockets_total: Amount = None
    proc_used: Amount = None
    proc_total: Amount = None


class AlarmAnswer(Struct, frozen=True):
    """What a node has too little of: `memory` or `disk`."""

    resource: str


class CheckAnswer(Struct, frozen=True):
    """What a health check came to."""

    status: str
    reason: str | None = None
    alarms: tuple[AlarmAnswer, ...] | None = None


def measured(amount: Amount) -> int:
    """An amount, or 0 where the broker does not know it."""
    return amount if isinstance(amount, int) else 0
