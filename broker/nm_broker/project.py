"""A project on a broker, from data: vhost, topology, users and links, in the order that is safe.

`bring_up` may be called at each start: what is there already stays as it is and keeps running.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from operator import add

from nm_broker.access import Access
from nm_broker.links import Links
from nm_broker.management import ManagementApi
from nm_bus.errors import RefusedError
from nm_bus.identity.role import Role
from nm_bus.messages import NodeId
from nm_bus.settings import Limits, SupernodeSettings
from nm_bus.topology import Sizes, Topology, base_topology, link_topology, log_topology, vhost


@dataclass(frozen=True, slots=True)
class Principals:
    """Who may log in besides the supernodes."""

    members: tuple[NodeId, ...] = ()
    administrators: tuple[str, ...] = ()
    components: tuple[str, ...] = ()


def sizes_for(limits: Limits) -> Sizes:
    """The sizes of the queues of a supernode that is built to hold this."""
    return Sizes(partitions=limits.partitions, members=limits.members)


def topology_of(settings: SupernodeSettings) -> Topology:
    """All that a supernode cannot work without: the project's own part, and one for each peer."""
    sizes = sizes_for(settings.limits)
    parts = [link_topology(peer.node, sizes) for peer in settings.peers]
    return reduce(add, parts, base_topology(sizes))


def log_of(settings: SupernodeSettings) -> Topology:
    """The copy of the updates, which a supernode can work without."""
    return log_topology(sizes_for(settings.limits))


def bring_up(api: ManagementApi, settings: SupernodeSettings, principals: Principals) -> None:
    """Make the broker serve the project; raises what `ManagementApi` raises.

    Principals are admitted, never taken away: that is a decision of its own. Links follow the
    settings, so a supernode that is no peer any longer loses its user and its shovels.
    """
    place = vhost(settings.project)
    if place not in api.vhosts():
        api.put_vhost(place)
    api.declare(topology_of(settings), place)
    with suppress(RefusedError):  # it may be down after a crash; its supernode tells of that
        api.declare(log_of(settings), place)
    admit_all(Access(api, place), settings, principals)
    Links(api, settings).apply()


def admit_all(access: Access, settings: SupernodeSettings, principals: Principals) -> None:
    """Give the supernode, its shovels, its peers' links and the principals their rights."""
    access.admit(Role.SUPERNODE, settings.node)
    access.admit(Role.SHOVEL)
    peers = {peer.node for peer in settings.peers}
    for origin in access.origins() - peers:
        access.revoke(Role.LINK, origin)
    for origin in sorted(peers):
        access.admit(Role.LINK, origin)
    admitted = {
        Role.MEMBER: principals.members,
        Role.ADMINISTRATOR: principals.administrators,
        Role.COMPONENT: principals.components,
    }
    for role, names in admitted.items():
        for name in names:
            access.admit(role, name)
