"""Which members are connected, from the broker's own events: a fast hint, never a verdict.

Pure. The broker names the user only when a connection opens, so closings are joined by name; a
member that holds another connection is not lost.
"""

from dataclasses import dataclass, field

from nm_bus.messages import Connection, NodeId

REASON = "connection lost"


@dataclass(slots=True)
class Connections:
    """The open connections of one broker: connection name to user."""

    users: dict[str, NodeId] = field(default_factory=dict)

    def opened(self, name: str, user: NodeId) -> Connection | None:
        """A connection opened; a hint when it is the user's first."""
        first = user not in self.users.values() if name not in self.users else False
        self.users[name] = user
        return Connection(user, connected=True) if first else None

    def closed(self, name: str) -> Connection | None:
        """A connection closed; a hint when it was the user's last."""
        user = self.users.pop(name, None)
        if user is None or user in self.users.values():
            return None
        return Connection(user, connected=False, reason=REASON)

    def forgotten(self) -> None:
        """The broker was away: no connection outlived that, and what came meanwhile is unknown."""
        self.users.clear()

    def listed(self, users: dict[str, NodeId]) -> None:
        """The broker listed its connections, some seconds old: add those not heard of since."""
        for name, user in users.items():
            self.users.setdefault(name, user)
