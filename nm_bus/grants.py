"""Who may do what on a project's broker: the roles, their requests, and each user's permissions.

Grants are data, computed from a role and a name. Which exchanges and queues there are is told in
`nm_bus.topology`; a user's account is made by `nm_broker`.
"""

import re
from dataclasses import dataclass, field

from nm_bus.identity.role import Role
from nm_bus.messages import NodeId, domain_key
from nm_bus.protocol import VERBS
from nm_bus.topology import (
    HEARTBEAT,
    METRICS,
    UPDATES_LOG,
    peer_exchange,
    request_exchange,
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A user's permissions in the project's vhost, as anchored regular expressions.

    `topics` maps an exchange to the (write, read) expressions of its routing keys.
    """

    user: str
    configure: str
    write: str
    read: str
    topics: dict[str, tuple[str, str]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


NOTHING = r"^\z"
r"""Matches nothing. `\z` is the very end, where `$` also stands before a last newline (PCRE)."""

_LOG = re.escape(UPDATES_LOG)

SHOVEL_USER = "_shovel"
"""The user as which every shovel reads its source queue: no password, no configure right."""

LINK_PREFIX = "_link."
"""No node's or person's id begins with an underscore, so nobody can be enrolled as a link."""


def link_user(origin: NodeId) -> str:
    """The user as which one supernode's shovels log in at its peers."""
    return LINK_PREFIX + origin


def grant(role: Role, user: str) -> Grant:
    """The grant of a user. The name is escaped: a dot in it must not match any character.

    Principals get no configure right at all: the supernode makes their queues for them.
    """
    return _GRANTS[role](user, re.escape(user))


def _requests(role: Role) -> dict[str, tuple[str, str]]:
    verbs = "|".join(map(re.escape, VERBS[role]))
    return {request_exchange(role): (rf"^({verbs})\z", NOTHING)}


def _supernode(user: str, _name: str) -> Grant:
    return Grant(user, ".*", ".*", ".*")


def _member(user: str, name: str) -> Grant:
    key = rf"^{re.escape(domain_key(user))}\z"
    requests = re.escape(request_exchange(Role.MEMBER))
    return Grant(
        user,
        NOTHING,
        rf"^({HEARTBEAT}|{METRICS}|{requests})\z",
        rf"^(inbox\.{name}|{_LOG})\z",
        {HEARTBEAT: (key, NOTHING), METRICS: (key, NOTHING), **_requests(Role.MEMBER)},
    )


def _reader(role: Role, user: str, name: str) -> Grant:
    return Grant(
        user,
        NOTHING,
        rf"^{re.escape(request_exchange(role))}\z",
        rf"^(alerts\.{name}(:[a-z0-9-]+)?|tail\.{name}:[a-z0-9-]+|{_LOG})\z",
        _requests(role),
    )


def _link(user: str, _name: str) -> Grant:
    origin = user.removeprefix(LINK_PREFIX)
    return Grant(user, NOTHING, rf"^{re.escape(peer_exchange(origin))}\z", NOTHING)


def _shovel(user: str, _name: str) -> Grant:
    return Grant(user, NOTHING, NOTHING, r"^out\..+\z")


_GRANTS = {
    Role.SUPERNODE: _supernode,
    Role.MEMBER: _member,
    Role.ADMINISTRATOR: lambda user, name: _reader(Role.ADMINISTRATOR, user, name),
    Role.COMPONENT: lambda user, name: _reader(Role.COMPONENT, user, name),
    Role.LINK: _link,
    Role.SHOVEL: _shovel,
}
