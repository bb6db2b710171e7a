"""What a broker holds of a project now: its parts by kind, and who may log in as what.

Nothing is changed here. A user's role is told by its rights, which are compared with what
`nm_bus.grants` grants: nothing else says what it may do.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nm_broker.answers import Named, Permission, TopicPermission
from nm_broker.management import ManagementApi
from nm_bus.grants import NOTHING, Grant, grant
from nm_bus.identity.role import Role

Parts = dict[str, frozenset[str]]
"""The names of what there is, by kind."""


def standing(api: ManagementApi, vhost: str) -> Parts:
    """All that a project has on its broker, be it nothing yet."""
    users = frozenset(api.users()) - {api.user}
    if vhost not in api.vhosts():
        return {"vhost": frozenset(), "users": users}
    named = {kind: api.get(tuple[Named, ...], kind, vhost) for kind in ("exchanges", "queues")}
    return {
        "vhost": frozenset({vhost}),
        **{kind: frozenset(item.name for item in items) for kind, items in named.items()},
        "shovels": frozenset(api.shovel_settings(vhost)),
        "users": users,
    }


def gained(before: Parts, after: Parts) -> dict[str, list[str]]:
    """What is there after and was not before, by kind; kinds without anything new are left out.

    RabbitMQ's own exchanges come with every vhost and are not told.
    """
    new = {kind: sorted(names - before.get(kind, frozenset())) for kind, names in after.items()}
    told = {
        kind: [n for n in names if n and not n.startswith("amq.")] for kind, names in new.items()
    }
    return {kind: names for kind, names in told.items() if names}


@dataclass(frozen=True, slots=True)
class Login:
    """A user of the broker: its role, None when it has the rights of none, and its connections."""

    name: str
    role: Role | None
    connections: int = 0


def logins(api: ManagementApi, vhost: str) -> dict[str, Login]:
    """Everybody who may log in but the management user, by name.

    A new connection is counted after five seconds.
    """
    connected = Counter(item.user for item in api.connections())
    rights = _rights(api, vhost)
    return {
        user: Login(user, role_of(user, rights.get(user)), connected[user])
        for user in sorted(set(api.users()) - {api.user})
    }


def role_of(user: str, rights: Grant | None) -> Role | None:
    """The role whose rights a user has, or None."""
    return next((role for role in Role if grant(role, user) == rights), None)


def _rights(api: ManagementApi, vhost: str) -> dict[str, Grant]:
    """Every user's rights in a vhost, with three calls for all of them together."""
    if vhost not in api.vhosts():
        return {}
    limits = api.get(tuple[TopicPermission, ...], "vhosts", vhost, "topic-permissions")
    topics = _topics(limits)
    return {
        item.user: Grant(
            item.user, item.configure, item.write, item.read, topics=topics.get(item.user, {})
        )
        for item in api.get(tuple[Permission, ...], "vhosts", vhost, "permissions")
    }


def _topics(limits: Iterable[TopicPermission]) -> Mapping[str, dict[str, tuple[str, str]]]:
    """By user; an exchange that is closed to a user says nothing of its role."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for item in limits:
        pair = (item.write, item.read)
        if pair != (NOTHING, NOTHING):
            found.setdefault(item.user, {})[item.exchange] = pair
    return found
