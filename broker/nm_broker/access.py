"""Who may log in to a broker and do what: users by role, given and taken away.

What a role may do is data in `nm_bus.grants`; who has which role is decided elsewhere. Users
belong to the whole broker, hence one broker for one project.
"""

import re
from dataclasses import dataclass

from nm_broker.management import ManagementApi
from nm_bus.errors import ConfigError
from nm_bus.grants import LINK_PREFIX, SHOVEL_USER, grant, link_user
from nm_bus.identity.role import Role

PRINCIPAL = re.compile(r"[a-z0-9]([a-z0-9.-]{0,198}[a-z0-9])?")
"""Neither an underscore in front nor a colon: those set off the broker's own users and queues."""

RESERVED = frozenset({"nm-bus", "guest"})
"""What a management user was called in earlier versions, and what RabbitMQ's own is called."""

CONNECTIONS: dict[Role, int] = {
    Role.MEMBER: 8,  # one or two, and the dead ones that the broker has not noticed yet
    Role.COMPONENT: 32,
    Role.ADMINISTRATOR: 32,
    Role.LINK: 16,  # two shovels, and their predecessors after a restart
}
"""How many connections a user may hold at once, so that none can use up the broker."""


def user_name(role: Role, principal: str = "") -> str:
    """The broker user of a principal in a role; a link's principal is its origin.

    Raises ConfigError when the principal's id is none.
    """
    if role is Role.SHOVEL:
        return SHOVEL_USER
    if not PRINCIPAL.fullmatch(principal):
        raise ConfigError(
            f"the {role} {principal!r}",
            "is no id: letters a-z, digits, dots and hyphens, at most 200",
            "use its host name in lower case",
        )
    if principal in RESERVED:
        raise ConfigError(
            f"the {role} {principal!r}", "has a name of the broker's own users", "choose another"
        )
    return link_user(principal) if role is Role.LINK else principal


@dataclass(frozen=True, slots=True)
class Access:
    """The users of one broker. Every call may be repeated; each is complete when it returns."""

    api: ManagementApi
    vhost: str

    def admit(self, role: Role, principal: str = "") -> None:
        """Give a principal exactly the rights of a role; it logs in by certificate alone."""
        user = user_name(role, principal)
        if user == self.api.user:
            raise ConfigError(user, "is the broker's management user", "choose another id")
        if role in CONNECTIONS:
            self.api.put_user(user)
            limit = {"value": CONNECTIONS[role]}
            self.api.put(limit, "user-limits", user, "max-connections")
        self.api.apply(grant(role, user), self.vhost)

    def revoke(self, role: Role, principal: str) -> None:
        """Delete the user: its connections are cut at once and it cannot log in again."""
        user = user_name(role, principal)
        if user == self.api.user:
            raise ConfigError(user, "is the broker's management user", "revoke another")
        self.api.delete_user(user)

    def origins(self) -> set[str]:
        """The supernodes whose links may speak here."""
        return {
            user.removeprefix(LINK_PREFIX)
            for user in self.api.users()
            if user.startswith(LINK_PREFIX)
        }
