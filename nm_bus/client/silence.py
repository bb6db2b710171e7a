"""What is said while supernodes do not answer, and at the end when none of them could."""

from collections.abc import Callable, Mapping

from nm_bus.errors import ConnectionLostError, NmBusError, TimedOutError
from nm_bus.messages import Message, NodeId, Query, Read, Seconds

MAY_PASS = (ConnectionLostError, TimedOutError)
"""What another supernode, or a later moment, may answer better."""

SLOW: Seconds = 1.0
"""So long nothing is said: most often the next supernode answers at once."""

QUICK: Seconds = 2.5
"""How long the first round waits for each supernode, where it can answer from memory."""

Said = Callable[[str], None]


def quietly(_text: str) -> None:
    """Nobody wants to hear of it."""


def is_cheap(message: Message) -> bool:
    """Whether a supernode that is well answers at once, and asking another one does no harm."""
    if isinstance(message, Read):
        return not message.agreed and not message.at_least
    return isinstance(message, Query)


def nobody(failures: Mapping[NodeId, NmBusError], telling: NmBusError) -> NmBusError:
    """The error at the end: every supernode that was asked, with its own reason.

    A refusal is a better answer than that, so it is given as it is.
    """
    if type(telling) not in MAY_PASS:
        return telling
    reasons = "; ".join(_named(node, str(error)) for node, error in failures.items())
    return type(telling)(f"no supernode could answer: {reasons}; see `nm-bus doctor`")


def _named(node: NodeId, reason: str) -> str:
    return reason if node in reason else f"{node}: {reason}"


class Silence:
    """Says once of each supernode that it did not answer, when that begins to take time."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._known: set[NodeId] = set()

    def broken(self, node: NodeId) -> None:
        """It answered, so its next silence is news."""
        self._known.discard(node)

    def of(self, node: NodeId, error: NmBusError, following: NodeId, taken: Seconds) -> None:
        """It gave no answer, and `following` is asked next; `taken` seconds have passed by now."""
        if isinstance(error, MAY_PASS) and taken >= SLOW and node not in self._known:
            self._known.add(node)
            self._said(f"{_named(node, str(error))}; asking {following}")
