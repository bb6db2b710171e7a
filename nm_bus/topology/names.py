"""The names of a project's exchanges and queues: each is computed here and nowhere else."""

from enum import StrEnum

from nm_bus.messages import Change, DomainKey, Message, NodeId, Severity, Tail, domain_key

HEARTBEAT, METRICS, REQUESTS, UPDATES, ALERTS, DEAD = (
    "heartbeat",
    "metrics",
    "requests",
    "updates",
    "alerts",
    "dead",
)

UPDATES_LOG = "updates.log"
"""The stream that keeps a copy of the updates: for audit, and for readers in any language."""

THROWN = "thrown"
"""The stem of the queues that tell what a bound threw away."""

REPORTS = "reports"
"""Where a supernode's ingest processes hand over what they say of their members."""

OUT = "out"
"""Where a supernode speaks to all its peers: keys `control.<kind>` and `bulk.<kind>`."""

EVENTS = "amq.rabbitmq.event"
"""The broker's own events: connections that come and go."""

EVENTS_QUEUE = "events"
"""Where a supernode reads of them."""


class LinkKind(StrEnum):
    """The two shovels of a link: small and urgent, or large and patient."""

    CONTROL = "control"
    BULK = "bulk"


def vhost(project: str) -> str:
    """The vhost of a project, the same on each of its brokers."""
    return f"nm.{project}"


def heartbeat_queue(partition: int) -> str:
    """The queue of heartbeats of one ingest process."""
    return f"{HEARTBEAT}.{partition}"


def metrics_queue(partition: int) -> str:
    """The queue of metrics of one ingest process."""
    return f"{METRICS}.{partition}"


def thrown_queue(partition: int) -> str:
    """Heartbeats that a bound threw away: evidence of a sick pipe, never of a silent member."""
    return f"{THROWN}.{partition}"


def hash_exchange(stream: str) -> str:
    """The exchange that spreads a stream over the ingest processes by its routing keys."""
    return f"{stream}.hash"


def peer_exchange(origin: NodeId) -> str:
    """The exchange on which one peer's link, and nobody else, speaks."""
    return f"peer.{origin}"


def peer_queue(origin: NodeId, kind: LinkKind) -> str:
    """Where a supernode reads what one peer's link brought."""
    return f"peer.{origin}.{kind}"


def out_exchange(destination: NodeId) -> str:
    """Where a supernode speaks to one peer: keys `control.<kind>` and `bulk.<kind>`."""
    return f"out.{destination}"


def out_queue(destination: NodeId, kind: LinkKind) -> str:
    """Where what is meant for one peer waits for its link."""
    return f"out.{destination}.{kind}"


def inbox_queue(node: NodeId) -> str:
    """The queue of one member: what its supernode tells it."""
    return f"inbox.{node}"


def alerts_queue(principal: str, name: str = "") -> str:
    """The durable alert queue of one principal at one supernode.

    No principal's id holds a colon, so no queue of one can be read as another's.
    """
    return f"alerts.{principal}:{name}" if name else f"alerts.{principal}"


def tail_queue(principal: str, name: str) -> str:
    """A short-lived queue that copies live messages for one principal."""
    return f"tail.{principal}:{name}"


def request_exchange(role: str) -> str:
    """Where one role asks: who may write there has that role, by the broker's word.

    Roles share no exchange, since RabbitMQ before 4 checks no key in CC and BCC headers: copies
    reach whatever is bound to the exchange that is written to, and no other.
    """
    return f"{REQUESTS}.{role}"


def request_queue(role: str) -> str:
    """Where the requests of one role wait, so that the noise of another pushes none of them out."""
    return f"{REQUESTS}.{role}"


# --- The routing keys: under which words a message is published, and by which it is bound.


def thrown_key(queue: str) -> str:
    """The routing key under which a queue's thrown-away messages reach the exchange `dead`."""
    return f"thrown.{queue}"


def refused_key(reason: str, who: NodeId) -> str:
    """The routing key of a quarantined message: `refused.<reason>.<domain key>`."""
    return f"refused.{reason}.{domain_key(who)}" if who else f"refused.{reason}"


def request_key(message: Message) -> str:
    """The routing key of a request: its verb.

    A tail of updates alone is `tail.updates`, which may be granted to who may watch nothing else.
    """
    verb = type(message).__name__.lower()
    is_of_updates = isinstance(message, Tail) and message.exchange == UPDATES
    return f"{verb}.{UPDATES}" if is_of_updates else verb


OF_A_NODE = frozenset({"member", "supernode"})
"""The keys of the ledger whose second word is a node id."""


KEY_BYTES = 255
"""The longest routing key that AMQP knows."""


def update_key(change: Change) -> str:
    """The routing key of an update: `config.<component>.<name>`, `member.<kind>.<domain key>`.

    A longer one than AMQP allows is cut; the update itself has the whole key.
    """
    first, *words = change.key.split("/")
    if first in OF_A_NODE and words:
        words = [change.kind, domain_key("/".join(words))]
    return ".".join([first, *words])[:KEY_BYTES]


def feed_bindings(feed: str) -> tuple[str, ...]:
    """The binding keys of the updates of a feed; without a name, of all of them."""
    if not feed:
        return ("#",)
    families = ("lock", "session") if feed == "lock" else (feed.replace("/", "."),)
    return tuple(f"{words}.#" for words in families)


def alert_key(severity: str, kind: str, subject: NodeId) -> str:
    """The routing key of an alert: `<severity>.<kind>.<domain key>`."""
    return f"{severity}.{kind}.{domain_key(subject)}"


def alert_bindings(severities: tuple[Severity, ...], under: tuple[DomainKey, ...]) -> list[str]:
    """The binding keys of a subscription: every pair of a severity and a site."""
    return [
        f"{severity}.*.{site}.#" if site else f"{severity}.*.#"
        for severity in (severities or ("*",))
        for site in (under or ("",))
    ]
