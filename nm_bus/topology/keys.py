"""The routing keys: under which words a message is published, and by which it is bound."""

from nm_bus.messages import Change, DomainKey, Message, NodeId, Severity, Tail, domain_key
from nm_bus.topology.names import UPDATES


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
