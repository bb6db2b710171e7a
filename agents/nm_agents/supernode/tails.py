"""Queues in which an administrator or a component sees messages as they pass."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from nm_agents.supernode.asker import Asker
from nm_agents.supernode.broker.watch import Look
from nm_agents.supernode.hello import declared
from nm_agents.supernode.part import Part, Requested
from nm_broker.project import sizes_for
from nm_bus.codes import BAD_REQUEST, UNAVAILABLE
from nm_bus.core.ledger.keys import why_no_feed
from nm_bus.core.rate import Rate
from nm_bus.messages import Message, NodeId, Tail
from nm_bus.protocol import TAILED
from nm_bus.settings import SupernodeSettings
from nm_bus.topology import UPDATES, feed_bindings, tail_queue, tail_topology
from nm_bus.transport.base import Transport

MOST_TAILS = 20
"""The tail queues that a principal may have, read or not yet expired."""


@dataclass(slots=True)
class TailsPart(Part):
    """Makes tail queues, a few for each principal."""

    settings: SupernodeSettings
    transport: Transport
    _seen: Mapping[NodeId, int] = field(default_factory=dict)
    _rate: Rate = field(init=False)

    def __post_init__(self) -> None:
        # at most twice the burst can be made before the first expires, hence half
        burst, lasts = MOST_TAILS // 2, sizes_for(self.settings.limits).tail_expires
        self._rate = Rate(burst, burst / lasts)

    def requests(self) -> dict[type[Message], Requested]:
        """Tail."""
        return {Tail: self._tail}

    def looked(self, look: Look) -> None:
        """The broker was looked at: so many each principal has."""
        self._seen = look.tails

    def _tail(self, tail: Tail, asker: Asker) -> None:
        if flaw := _flaw(tail):
            asker.refuse(BAD_REQUEST, flaw)
        elif not self._may(asker.user):
            error = "you have too many tail queues; end some readers, or wait a minute"
            asker.refuse(UNAVAILABLE, error)
        else:
            name = secrets.token_hex(8)
            sizes = sizes_for(self.settings.limits)
            keys = feed_bindings(tail.feed) if tail.feed else (tail.key,)
            topology = tail_topology(asker.user, name, tail.exchange, keys, sizes)
            answer = {"queue": tail_queue(asker.user, name)}
            self.transport.declare(topology, partial(declared, asker, answer), renew=False)

    def _may(self, user: NodeId) -> bool:
        is_few = self._seen.get(user, 0) < MOST_TAILS
        return is_few and self._rate.allows(user, self.transport.now())


def _flaw(tail: Tail) -> str:
    """What cannot be listened to, if so."""
    if tail.exchange not in TAILED:
        known = ", ".join(sorted(TAILED))
        return f"there is no {tail.exchange!r}; use {known}"
    if tail.feed and tail.exchange != UPDATES:
        return f"feeds are in {UPDATES!r}, not in {tail.exchange!r}"
    return why_no_feed(tail.feed) if tail.feed else ""
