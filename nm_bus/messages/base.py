"""What every message is made of: names, states, and the envelope.

Times are seconds since 1970 by the sender's clock; durations are seconds.
"""

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec

NodeId = str
"""The fully qualified host name, lower case: certificate name, broker user, CloudEvents source."""

DomainKey = str
"""The node id reversed (`gov.llnl.esgf-node1`): the routing key, so that `gov.llnl.#` is a site."""

Seconds = float


class Health(StrEnum):
    """What is held to be true of a member."""

    ALIVE = "alive"
    LATE = "late"
    DOWN = "down"
    UNKNOWN = "unknown"
    LEFT = "left"
    MAINTENANCE = "maintenance"


class CheckStatus(StrEnum):
    """A self-check's verdict: the four exit codes of a Nagios plugin, in their order."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class Data(msgspec.Struct, frozen=True, gc=False):
    """What every message's data derives from. Unknown fields are ignored, so versions may mix."""


class Nested(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A record inside a message's data."""


M_co = TypeVar("M_co", bound=Data, covariant=True)


class Event(msgspec.Struct, Generic[M_co], frozen=True, gc=False):
    """A CloudEvent that passed its schema. `time` is by the sender's clock and not trusted."""

    id: str
    source: NodeId
    type: str
    time: datetime
    data: M_co
    subject: str = ""
    specversion: str = "1.0"
    datacontenttype: str = "application/json"


def message_type(message: type[Data] | Data) -> str:
    """Give the CloudEvents type of a message or its class, such as `nm.heartbeat.v1`."""
    name = message.__name__ if isinstance(message, type) else type(message).__name__
    return f"nm.{name.lower()}.v1"


@lru_cache(maxsize=65_536)  # asked several times for each message of a supernode's members
def domain_key(node: NodeId) -> DomainKey:
    """Reverse a node id by its dots: `n1.llnl.gov` gives `gov.llnl.n1`; its own inverse."""
    return ".".join(reversed(node.split(".")))
