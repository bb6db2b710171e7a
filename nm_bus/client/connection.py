"""`Bus`: a person's or a component's way to a project's supernodes over their brokers.

Each question goes to the supernode that is named; whom to ask next is not decided here.
"""

from uuid import uuid4

from nm_bus.client.route import Route
from nm_bus.errors import ConnectionLostError, NmBusError
from nm_bus.identity.certificates import user_of
from nm_bus.messages import Answer, Change, Message, NodeId, Seconds
from nm_bus.settings import AdministratorSettings, Peer, timing
from nm_bus.topology import vhost


class Bus:
    """See `nm_bus.client.carrier.Carrier`. Raises ConfigError for the own certificate."""

    def __init__(self, settings: AdministratorSettings) -> None:
        self._settings, self._timing = settings, timing(settings)
        self._peers = {peer.node: peer for peer in settings.supernodes}
        self.user: NodeId = user_of(settings.tls)
        self._route: Route | None = None

    def __enter__(self) -> "Bus":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the supernode that was asked last; the next request connects again."""
        if self._route is not None:
            self._route.close()
            self._route = None

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId, request: str = ""
    ) -> Answer:
        """Ask one supernode, once, over a connection that is kept until another one is asked."""
        try:
            route = self._to(supernode, min(self._timing.connect, timeout))
            return route.ask(message, request or str(uuid4()), timeout)
        except NmBusError:
            self.close()
            raise

    def _to(self, supernode: NodeId, connect: Seconds) -> Route:
        if self._route is None or self._route.supernode != supernode:
            self.close()
            peer = self._peers.get(supernode)
            if peer is None:
                text = f"{supernode} is none of the supernodes in the settings"
                raise ConnectionLostError(text)
            self._route = self._opened(peer, connect).__enter__()
        return self._route

    def line(self, peer: Peer) -> Route:
        """A connection of one's own to a supernode; open it by `with`."""
        return self._opened(peer, self._timing.connect)

    def _opened(self, peer: Peer, connect: Seconds) -> Route:
        settings = self._settings
        return Route(
            peer,
            vhost=vhost(settings.project),
            user=self.user,
            role=settings.role,
            tls=settings.tls,
            timing=self._timing,
            connect=connect,
        )

    def signed(self, change: Change) -> tuple[Change, str]:
        """The change, signed, and the certificate whose key did."""
        # only who changes something needs the library of signatures, which is large
        from nm_bus.identity.signing import Signer  # noqa: PLC0415

        signer = Signer.load(self._settings.tls)
        return signer.sign(change), signer.certificate
