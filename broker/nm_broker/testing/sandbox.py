"""A corner of a private broker for one test: a vhost of its own, users with certificates.

What it made it takes away again, and a broker that was paused or killed is brought back, so that
the next test finds the broker as this one did.
"""

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path

import pika

from nm_broker.pki import Authority
from nm_broker.private import RunningBroker
from nm_bus.grants import grant
from nm_bus.identity.role import Role
from nm_bus.settings import Broker, Tls
from nm_bus.topology import EVENTS, Topology


@dataclass(slots=True)
class Sandbox:
    """A vhost on a running broker. Certificates are written into `folder`."""

    broker: RunningBroker
    authority: Authority
    vhost: str
    folder: Path
    _users: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The broker's node id."""
        return self.broker.settings.name

    @property
    def address(self) -> Broker:
        """Where clients connect to."""
        own = self.broker.settings
        return Broker(host=own.name, port=own.amqps_port, address=own.address)

    def open(self) -> None:
        """Make the vhost."""
        self.broker.api.put_vhost(self.vhost)

    def close(self) -> None:
        """Take away the vhost and the users; start the broker again if it was ended."""
        self.revive()
        for user in self._users:
            self.broker.api.delete_user(user)
        self.broker.api.delete_vhost(self.vhost)

    def issue(self, name: str) -> Tls:
        """A certificate for `name`, which need not be a user."""
        return self.authority.issue(name, self.folder)

    def grant(self, role: Role, user: str) -> Tls:
        """Make `user` a user with the rights of `role` in the vhost, and give its certificate."""
        self._users.append(user)
        self.broker.api.apply(grant(role, user), self.vhost)
        return self.issue(user)

    def declare(self, topology: Topology) -> None:
        """Declare a topology in the vhost, but for the bindings to the broker's own events:
        the broker tells those in its project's vhost alone (see `silent_events`)."""
        bindings = tuple(b for b in topology.bindings if b.source != EVENTS)
        self.broker.api.declare(replace(topology, bindings=bindings), self.vhost)

    def silent_events(self) -> None:
        """Make the exchange of the broker's events here too, where nothing is ever told, for
        programs that bind to it. Its name is reserved: only the broker itself can make it."""
        name = f'rabbit_misc:r(<<"{self.vhost}">>, exchange, <<"{EVENTS}">>)'
        self.broker.ctl(
            "eval", f'rabbit_exchange:declare({name}, topic, true, false, true, [], <<"none">>).'
        )

    def parameters(self, tls: Tls, *, ca: Path | None = None) -> pika.ConnectionParameters:
        """What pika needs to connect to the vhost with a certificate."""
        context = ssl.create_default_context(cafile=ca or tls.ca)
        context.load_cert_chain(tls.certificate, tls.key)
        own = self.broker.settings
        return pika.ConnectionParameters(
            host=own.address,
            port=own.amqps_port,
            virtual_host=self.vhost,
            credentials=pika.credentials.ExternalCredentials(),
            ssl_options=pika.SSLOptions(context, own.name),
            heartbeat=10,
            socket_timeout=10,
            blocked_connection_timeout=60,
        )

    def restart(self) -> None:
        """Stop the broker in good order, if it runs, and start it again."""
        self.broker.stop()
        self.broker = self.broker.settings.start()

    def revive(self) -> None:
        """Let a paused broker go on, start an ended one."""
        self.broker.resume()
        if not self.broker.is_running:
            self.broker.kill()
            self.broker = self.broker.settings.start()
