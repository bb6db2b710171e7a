"""Sandboxes joined to a federation: each a supernode, linked to all the others."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pika
from msgspec.structs import replace
from pika.adapters.blocking_connection import BlockingChannel

from nm_broker.access import Access
from nm_broker.links import Links
from nm_broker.project import Principals, admit_all, log_of, topology_of
from nm_broker.testing.sandbox import Sandbox
from nm_bus.errors import TimedOutError
from nm_bus.grants import link_user
from nm_bus.identity.role import Role
from nm_bus.settings import LOCAL, Peer, SupernodeSettings, Timing

QUICK: Timing = replace(LOCAL, amqp_heartbeat=2, connect=3.0)
"""A stopped broker is noticed within about five seconds."""


WAIT = 60.0
"""Seconds after which what is waited for is held never to come."""


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; raises TimedOutError when it does not in a long time."""
    deadline = time.monotonic() + WAIT
    while not holds():
        if time.monotonic() > deadline:
            raise TimedOutError(f"after {WAIT:g} s there is still not: {what}")
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Site:
    """One supernode's broker with the settings it was brought up by."""

    sandbox: Sandbox
    settings: SupernodeSettings

    @property
    def links(self) -> Links:
        """Its shovels."""
        return Links(self.sandbox.broker.api, self.settings)

    @property
    def access(self) -> Access:
        """Its users."""
        return Access(self.sandbox.broker.api, self.sandbox.vhost)

    @property
    def node(self) -> str:
        """The supernode's node id."""
        return self.settings.node

    @contextmanager
    def channel(self, user: str = "") -> Iterator[BlockingChannel]:
        """A channel with confirms as the supernode itself, or as another user."""
        tls = self.sandbox.issue(user or self.node)
        with pika.BlockingConnection(self.sandbox.parameters(tls)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel

    def bring_up(self, principals: Principals) -> None:
        """Bring the project up in this sandbox, where the broker's own events are not told."""
        self.sandbox.declare(topology_of(self.settings) + log_of(self.settings))
        admit_all(self.access, self.settings, principals)
        self.links.apply()


def federate(
    sandboxes: list[Sandbox], principals: Principals, timing: Timing = QUICK
) -> list[Site]:
    """Bring the same project up on each of the brokers and link every one to every other."""
    sites = [Site(own, _settings(own, sandboxes, timing)) for own in sandboxes]
    for site in sites:
        site.bring_up(principals)
    return sites


def _settings(own: Sandbox, sandboxes: list[Sandbox], timing: Timing) -> SupernodeSettings:
    return SupernodeSettings(
        project=own.vhost.removeprefix("nm."),
        node=own.name,
        folder=own.folder,
        broker=own.address,
        tls=own.issue(own.name),
        link_tls=own.issue(link_user(own.name)),
        peers=tuple(Peer(other.name, other.address) for other in sandboxes if other is not own),
        timing=timing,
    )


def dissolve(sites: list[Site], principals: Principals) -> None:
    """Delete the users that `federate` made: they belong to the whole broker."""
    for site in sites:
        site.sandbox.revive()
        for peer in site.settings.peers:
            site.access.revoke(Role.LINK, peer.node)
        site.access.revoke(Role.SUPERNODE, site.settings.node)
        for name in (*principals.members, *principals.administrators, *principals.components):
            site.access.revoke(Role.MEMBER, name)
