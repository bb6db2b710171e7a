"""What can be declared on a broker: exchanges, queues, and bindings, as data that cannot act."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange. `type` is `topic`, `fanout` or `x-consistent-hash`."""

    name: str
    type: str = "topic"


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue. `type` is `classic`, `quorum` or `stream`; `arguments` hold its limits."""

    name: str
    type: str = "classic"
    arguments: Arguments = field(default_factory=dict)

    def declared_arguments(self) -> Arguments:
        """All arguments of the declaration; classic queues are version 2 (cheap, no index)."""
        version = {"x-queue-version": 2} if self.type == "classic" else {}
        return {"x-queue-type": self.type, **version, **self.arguments}


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding from an exchange to a queue, or to another exchange when `to_exchange`."""

    source: str
    destination: str
    key: str = "#"
    to_exchange: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """What to declare, in this order. The order of bindings to a hash exchange matters.

    The queues in `deleted` are deleted before, with what is in them and what binds them.
    """

    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def identity(self) -> Hashable:
        """What makes two topologies the same one: names and bindings, not the queues' limits."""
        queues = tuple(queue.name for queue in self.queues)
        return self.exchanges, queues, self.bindings, self.deleted

    def __add__(self, other: "Topology") -> "Topology":
        return Topology(
            self.exchanges + other.exchanges,
            self.queues + other.queues,
            self.bindings + other.bindings,
            self.deleted + other.deleted,
        )
