"""The roles: what a broker user is there for. What each may do is a grant (`nm_bus.grants`)."""

from enum import StrEnum


class Role(StrEnum):
    """A role by which the broker lets a user in. The first three ask supernodes for something."""

    MEMBER = "member"
    COMPONENT = "component"
    ADMINISTRATOR = "administrator"
    SUPERNODE = "supernode"
    LINK = "link"
    SHOVEL = "shovel"


ASKERS = MEMBER, COMPONENT, ADMINISTRATOR = Role.MEMBER, Role.COMPONENT, Role.ADMINISTRATOR
"""Those that ask supernodes for something; each has an exchange of requests of its own."""
