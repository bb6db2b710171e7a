"""A part of a supernode: it owns one feature, whole.

A part overrides the methods that it needs; the others do nothing. Its routes, requests and queries
are asked for once, before `start`; then `connection`, `conditions`, `transitions` and `describe`
come any number of times, and `close` at the end.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nm_agents.host.inbound import Routes
from nm_agents.supernode.asker import Asker
from nm_bus.core.alerts.conditions import Condition
from nm_bus.messages import Alert, Message, Query, Seconds, Supernode
from nm_bus.transport.base import Status

Requested = Callable[[Any, Asker], None]
"""Takes a request, whose asker it answers, now or later, once."""

Queried = Callable[[Query, Asker, Seconds], None]


class Part:
    """One feature of a supernode. The host asks for its routes once, before `start`."""

    def from_peers(self) -> Routes:
        """What it takes out of the links, from the other supernodes."""
        return {}

    def from_own(self) -> Routes:
        """What it takes from this supernode's own processes."""
        return {}

    def from_principals(self) -> Routes:
        """What principals send it that wants no answer."""
        return {}

    def requests(self) -> Mapping[type[Message], Requested]:
        """The requests that it answers; who may make them, the protocol says."""
        return {}

    def queries(self) -> Mapping[str, Queried]:
        """What it can be queried for, by `what`."""
        return {}

    def start(self) -> None:
        """Begin; all parts are there."""

    def connected(self) -> None:
        """A new connection to the broker is there."""

    def connection(self, status: Status) -> None:
        """The connection to the broker is another than before."""

    def conditions(self, now: Seconds) -> Iterable[Condition]:
        """What is wrong at this supernode with what it looks after: a few at most. What is wrong
        with many things is reported for each of them when it changes: see `transitions`."""
        return ()

    def transitions(self, now: Seconds) -> Iterable[Alert]:
        """What became of alerts by what it reported itself."""
        return ()

    def describe(self, state: Supernode, now: Seconds) -> Supernode:
        """What this supernode says of itself, with what this part adds."""
        return state

    def close(self) -> None:
        """Keep what must outlive the process, and end what it started."""
