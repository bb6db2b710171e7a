"""The messages of the bus, a row each: where they travel, and who may ask what of a supernode.

Every other list of messages is made of these rows: what the codec reads, what the broker grants,
what AsyncAPI describes, and what may be watched live. A new message is a new row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nm_bus.identity.role import ADMINISTRATOR, ASKERS, COMPONENT, MEMBER, Role
from nm_bus.messages import (
    Alert,
    Answer,
    Ask,
    Canary,
    Connection,
    Heartbeat,
    Hello,
    Ledger,
    Message,
    Metrics,
    Properties,
    Propose,
    Quarantined,
    Query,
    Read,
    Report,
    Rollups,
    Running,
    Statement,
    Subscribe,
    Supernode,
    Sync,
    Tail,
    Update,
)
from nm_bus.topology import (
    ALERTS,
    DEAD,
    HEARTBEAT,
    METRICS,
    OUT,
    REPORTS,
    UPDATES,
    inbox_queue,
    peer_exchange,
    request_exchange,
)

PEER = peer_exchange("{peer}")
INBOX = inbox_queue("{node}")
"""Places of which there are many, by their names' pattern."""

Places = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """How many requests a principal may make at once, and in a second in the long run: one who
    floods does not keep the others waiting."""

    burst: int
    per_second: float


BUDGETS = SMALL, LEDGER_BUDGET = Budget(50, 20.0), Budget(500, 200.0)
"""That of most requests; and that of the ledger's, of which a busy component makes many. A page of
the ledger costs more, since it may have half a megabyte."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message. A request's key is its verb, the class's name in lower case.

    `only` are roles that may ask for one thing alone: their key is `<verb>.<what>`.
    """

    message: type[Message]
    places: Places = ()
    """The exchanges, or the queue, where it is published."""
    asked_by: tuple[Role, ...] = ()
    """The roles that may send it to a supernode as a request."""
    budget: Budget = SMALL
    cost: float = 1.0
    """What one such request costs of its budget."""
    only: Mapping[Role, str] = field(default_factory=dict)

    @property
    def verb(self) -> str:
        """The routing key of a request."""
        return self.message.__name__.lower()

    def keys(self, role: Role) -> tuple[str, ...]:
        """The routing keys under which a role may send it as a request."""
        whole = (self.verb,) if role in self.asked_by else ()
        part = (f"{self.verb}.{self.only[role]}",) if role in self.only else ()
        return whole + part


BETWEEN: Places = (OUT, PEER)
"""From one supernode to all others."""

OF_HEARTBEATS: Places = (HEARTBEAT, DEAD)
OF_METRICS: Places = (METRICS, DEAD)
"""A stream of members, and where what its queues throw away goes."""

PROTOCOL = (
    Row(Heartbeat, OF_HEARTBEATS),
    Row(Metrics, OF_METRICS),
    Row(Properties, OF_METRICS),
    Row(Running, OF_METRICS),
    Row(Connection, OF_HEARTBEATS),
    Row(Canary, (HEARTBEAT, METRICS, DEAD, REPORTS, *BETWEEN)),
    Row(Statement, (REPORTS, *BETWEEN)),
    Row(Rollups, (REPORTS, *BETWEEN)),
    Row(Supernode, BETWEEN),
    Row(Alert, (ALERTS, *BETWEEN)),
    Row(Ledger, BETWEEN),
    Row(Update, (UPDATES,)),
    Row(Hello, asked_by=ASKERS),
    Row(Query, asked_by=ASKERS),
    Row(Propose, asked_by=ASKERS, budget=LEDGER_BUDGET),
    Row(Sync, asked_by=ASKERS, budget=LEDGER_BUDGET, cost=10.0),
    Row(Read, asked_by=ASKERS, budget=LEDGER_BUDGET),
    Row(Report, asked_by=(MEMBER,)),
    Row(Ask, (INBOX,), asked_by=(ADMINISTRATOR,)),
    Row(Subscribe, asked_by=(COMPONENT, ADMINISTRATOR)),
    Row(Tail, asked_by=(ADMINISTRATOR,), only=dict.fromkeys((COMPONENT, ADMINISTRATOR), UPDATES)),
    Row(Answer),
    Row(Quarantined, (DEAD,)),
)

ROWS: dict[type[Message], Row] = {row.message: row for row in PROTOCOL}

MESSAGES: tuple[type[Message], ...] = tuple(ROWS)

VERBS: dict[Role, tuple[str, ...]] = {
    role: tuple(key for row in PROTOCOL for key in row.keys(role)) for role in ASKERS
}
"""The requests that each role may make: the keys on its own exchange of requests."""


def _carried() -> dict[str, tuple[type[Message], ...]]:
    found: dict[str, tuple[type[Message], ...]] = {}
    for row in PROTOCOL:
        asked = (request_exchange(role) for role in ASKERS if row.keys(role))
        for place in (*row.places, *asked):
            found[place] = (*found.get(place, ()), row.message)
    return found


CARRIED = _carried()
"""What is published at each place; a queue carries what the exchanges bound to it do."""

TAILED = frozenset(CARRIED) - {OUT, PEER, INBOX}
"""The exchanges whose messages an administrator may watch: all but what one supernode says to
another, or to one member."""
