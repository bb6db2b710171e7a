"""One look at a supernode's own broker over the management API: its state, links, connections."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nm_broker.answers import BindingAnswer, NodeAnswer, measured
from nm_broker.links import Link, Links
from nm_broker.management import ManagementApi
from nm_broker.project import sizes_for, topology_of
from nm_bus.core.links import LinkSeen
from nm_bus.errors import RefusedError
from nm_bus.messages import BrokerState, NodeId
from nm_bus.settings import SupernodeSettings
from nm_bus.topology import (
    ALERTS,
    DEAD,
    HEARTBEAT,
    METRICS,
    THROWN,
    alerts_queue,
    alerts_topology,
    inbox_queue,
    vhost,
)
from nm_bus.transport.base import address_of

MOST_SUBSCRIPTIONS = 20
"""The named alert queues that a principal may have: each takes a copy of every alert."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw."""

    broker: BrokerState
    links: dict[Link, LinkSeen]
    tails: Mapping[NodeId, int]
    """How many tail queues each principal has."""
    reply_nodes: frozenset[bytes]
    """The nodes to which answers may go; empty when the broker itself sees to that."""


@dataclass(frozen=True, slots=True)
class BrokerWatch:
    """Reads the state of one broker, and repairs its links and queues.

    Every call may wait for the API's time limit.
    """

    api: ManagementApi
    settings: SupernodeSettings

    def look(self) -> Look:
        """See how the broker and its links stand now."""
        nodes = self.api.nodes()
        if not nodes:
            raise RefusedError("the management API knows no node of the broker")
        node, version = nodes[0], self.api.overview().rabbitmq_version
        # there are as many inboxes as members, and nothing here reads their numbers
        queues = self.api.queues_but(self._vhost, inbox_queue(""))
        depths = {name: item.messages or 0 for name, item in queues.items()}
        # alert queues are too many
        own = sorted(queue.name for queue in topology_of(self.settings).queues)
        watched = {name: depths[name] for name in own if name in depths}
        broker = BrokerState(
            state="blocked" if _alarms(node) else "up",
            reason=_alarms(node),
            version=version,
            memory=measured(node.mem_used),
            memory_limit=measured(node.mem_limit),
            disk_free=measured(node.disk_free),
            connections=measured(node.sockets_used),
            quarantined=depths.get(DEAD, 0),
            queues=watched,
        )
        # RabbitMQ 3 closes the connection of whoever answers to a node that it does not know
        checked = nodes if version.startswith("3.") else []
        reply_nodes = frozenset(address_of(each.name) for each in checked)
        links = Links(self.api, self.settings).look(queues)
        return Look(broker, links, _tails(depths), reply_nodes)

    def connections(self) -> dict[str, NodeId]:
        """The open connections, by name, with their users."""
        known = self.api.connections()
        return {item.name: item.user for item in known if item.name and item.user}

    def apply_links(self) -> None:
        """Make the shovels what the settings say."""
        Links(self.api, self.settings).apply()

    def restart(self, link: Link) -> None:
        """Make one shovel again."""
        Links(self.api, self.settings).restart(link)

    def retire(self) -> None:
        """Delete the queues of ingest processes that are no more: else members would speak into
        queues that nobody reads."""
        for name in self.api.depths(self._vhost):
            stream, _, number = name.rpartition(".")
            is_ingests = stream in (HEARTBEAT, METRICS, THROWN) and number.isdecimal()
            if is_ingests and int(number) >= self.settings.limits.partitions:
                self.api.delete_queue(self._vhost, name)

    def subscribe(self, principal: str, name: str, keys: list[str]) -> str:
        """Make a principal's alert queue hear these keys, and no others; give its name.

        Raises RefusedError for one more than MOST_SUBSCRIPTIONS.
        """
        queue = alerts_queue(principal, name)
        self._check_room(principal, queue)
        sizes = sizes_for(self.settings.limits)
        self.api.declare(alerts_topology(principal, name, keys, sizes), self._vhost)
        there = self.api.get(tuple[BindingAnswer, ...], "queues", self._vhost, queue, "bindings")
        for binding in there:
            if binding.source == ALERTS and binding.routing_key not in keys:
                ends = ("e", ALERTS, "q", queue, binding.properties_key)
                self.api.delete("bindings", self._vhost, *ends)
        return queue

    def _check_room(self, principal: str, queue: str) -> None:
        own = alerts_queue(principal)
        named = {name for name in self.api.depths(self._vhost) if name.startswith(f"{own}:")}
        if queue not in named | {own} and len(named) >= MOST_SUBSCRIPTIONS:
            days = sizes_for(self.settings.limits).alerts_expires / 86_400.0
            raise RefusedError(
                f"{principal} has {MOST_SUBSCRIPTIONS} alert subscriptions here: one that is not "
                f"read ends after {days:.0f} days, or at the supernode's host by `rabbitmqctl "
                f"delete_queue --vhost {self._vhost} {own}:NAME`"
            )

    @property
    def _vhost(self) -> str:
        return vhost(self.settings.project)


def _alarms(node: NodeAnswer) -> str:
    rings = {"memory alarm": node.mem_alarm, "disk alarm": node.disk_free_alarm}
    return ", ".join(text for text, on in rings.items() if on)


def _tails(queues: Iterable[str]) -> Counter[NodeId]:
    tails = (name.removeprefix("tail.") for name in queues if name.startswith("tail."))
    return Counter(tail.partition(":")[0] for tail in tails)
