"""`Bus`: a person's or a component's way to a project's supernodes over their brokers.

Each question goes to the supernode that is named; whom to ask next is not decided here.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from uuid import uuid4

import amqp
import kombu

from nm_bus import codec
from nm_bus.client.carrier import Received
from nm_bus.errors import (
    ConnectionLostError,
    NmBusError,
    RefusedError,
    TimedOutError,
)
from nm_bus.identity.certificates import user_of
from nm_bus.messages import Answer, Change, Message, NodeId, Seconds
from nm_bus.settings import AdministratorSettings, Peer, Timing, Tls, connects_to, timing
from nm_bus.topology import PEER_BYTES, request_exchange, request_key, vhost
from nm_bus.transport.base import REPLY_TO
from nm_bus.transport.diagnosis import SURELY, denied, diagnose, not_admitted
from nm_bus.transport.tls import client_context

# --- One connection of kombu's to one supernode, and requests over it.
#
# What goes wrong is raised as one clear sentence: ConnectionLostError or TimedOutError where
# another supernode or a later attempt may help, RefusedError and ConfigError where neither does.

TICK: Seconds = 0.25
"""How long one wait for the socket is; heartbeats are looked after in between."""

LEAST: Seconds = 0.001
"""The shortest wait: with none at all, py-amqp would turn in a circle until something comes."""

GOODBYE: Seconds = 2.0
"""How long a broker may take to confirm that it has what was acknowledged."""


class Route:
    """A connection to a supernode as `user`. Open it by `with`; one thread may use it."""

    def __init__(
        self,
        peer: Peer,
        *,
        vhost: str,
        user: NodeId,
        role: str,
        tls: Tls,
        timing: Timing,
        connect: Seconds,
    ) -> None:
        self._peer, self._user, self._role, self._tls = peer, user, role, tls
        self.supernode = peer.node
        address, port = connects_to(peer.broker)
        self._where = peer.broker.where
        self._answers: list[kombu.Message] = []
        self._connection = kombu.Connection(
            transport="pyamqp",
            hostname=address,
            port=port,
            userid="",
            password="",
            virtual_host=vhost,
            login_method="EXTERNAL",
            heartbeat=timing.amqp_heartbeat,
            connect_timeout=connect,
            ssl={
                "ca_certs": str(tls.ca),
                "certfile": str(tls.certificate),
                "keyfile": str(tls.key),
                "server_hostname": peer.broker.host,
            },
            # py-amqp's own second would end a connection at each short stall of a network
            transport_options={
                "socket_settings": {socket.TCP_USER_TIMEOUT: 1000 * timing.amqp_heartbeat}
            },
        )

    # --- its life

    def __enter__(self) -> "Route":
        client_context(self._tls)
        with self._explained():
            # one attempt: when and where to try again is decided by who asks
            self._connection.ensure_connection(
                max_retries=1, interval_start=0, interval_step=0, reraise_as_library_errors=False
            )
            # made once and never ended in good order: a broker that is stuck would not agree to it
            self._socket = self._connection.connection.sock
            self._asking = self._raw_channel()
            pseudo = kombu.Queue(REPLY_TO, no_declare=True)
            on_message = self._answers.append
            kombu.Consumer(self._asking, [pseudo], no_ack=True, on_message=on_message).consume()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave, without waiting for a broker that does not answer."""
        self._connection.collect(socket_timeout=1.0)

    def fileno(self) -> int:
        """The socket that becomes readable when there is something to take; -1 once it is lost."""
        return int(self._socket.fileno())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the libraries' errors into ours."""
        try:
            yield
        except (*self._connection.connection_errors, *self._connection.channel_errors) as error:
            raise self._meaning(error) from None

    def _meaning(self, error: Exception) -> NmBusError:
        match error:
            case amqp.AccessRefused(reply_text=str(said)) if "Login was refused" in said:
                return RefusedError(f"{self._where} {not_admitted(self._user)}")
            case amqp.AccessRefused(reply_text=str(said)) if "exchange" in said:
                role = f"it is not admitted as {self._role}: see `role` in the settings"
                return RefusedError(f"{self._where} refuses {self._user}: {said}; {role}")
            case amqp.AccessRefused() | amqp.NotAllowed() | amqp.NotFound():
                return RefusedError(f"{self._where} {denied(self._user, str(error.reply_text))}")
        failure = diagnose(error, self._where, self._user)
        if failure.hopeless_after == SURELY:
            return failure.as_error()
        return ConnectionLostError(failure.reason)

    # --- use

    def ask(self, message: Message, request: str, timeout: Seconds) -> Answer:
        """Ask by direct reply-to; `request` is the id, the same when it is asked again.

        Raises TimedOutError when no answer came in time.
        """
        self._answers.clear()
        with self._explained():
            self._publish(self._asking, message, request)
            self.wait(lambda: bool(self._answered(request)), timeout)
        answers = self._answered(request)
        if not answers:
            raise TimedOutError(f"{self.supernode} gave no answer within {timeout:.0f} s")
        event = codec.decode(bytes(answers[0].body), limit=PEER_BYTES)
        if isinstance(event, codec.Rejected) or not isinstance(event.data, Answer):
            raise RefusedError(f"the answer of {self.supernode} is not understood: {event}")
        return event.data

    def _answered(self, request: str) -> list[kombu.Message]:
        return [a for a in self._answers if a.properties.get("correlation_id") == request]

    def _publish(self, channel: amqp.Channel, message: Message, request: str) -> None:
        body = codec.encode(message, source=self._user, id=request, time=time.time())
        kombu.Producer(channel).publish(
            body,
            exchange=request_exchange(self._role),
            routing_key=request_key(message),
            content_type=codec.CONTENT_TYPE,
            content_encoding="utf-8",
            user_id=self._user,
            reply_to=REPLY_TO,
            correlation_id=request,
            delivery_mode=1,
        )

    def _raw_channel(self) -> amqp.Channel:
        """A channel that gives bodies as the bytes they are, whatever encoding they announce."""
        channel = self._connection.channel()
        channel.auto_decode = False
        return channel

    def wait(self, done: Callable[[], bool], timeout: Seconds) -> None:
        """Take what comes until `done` or the time is over, and keep the connection alive.

        With a timeout of 0, all that is here already is taken.
        """
        end = time.monotonic() + timeout
        with self._explained():
            while not done():
                left = end - time.monotonic()
                if left <= 0 < timeout:
                    return
                if not self._connection.connected:
                    # an acknowledgement found it lost; kombu would connect anew, and read nothing
                    raise ConnectionLostError(f"{self.supernode}: the connection is lost")
                try:
                    self._connection.drain_events(timeout=max(LEAST, min(TICK, left)))
                except TimeoutError:
                    self._connection.heartbeat_check()
                    if timeout == 0:
                        return

    @contextmanager
    def reading(
        self, queue: str, came: Callable[[Received], None], prefetch: int
    ) -> Iterator[None]:
        """Within, `came` is called for each message of a queue, while one waits or asks.

        After it, the broker has taken what was acknowledged, unless an error ended it.
        """

        def taken(message: kombu.Message, _error: object = None) -> None:
            came(self._received(message))

        with self._explained():
            named = kombu.Queue(queue, no_declare=True)
            consumer = kombu.Consumer(
                self._raw_channel(),
                [named],
                on_message=taken,
                # a header that announces a compression which is none must not end the reading
                on_decode_error=taken,
                prefetch_count=prefetch,
            )
            consumer.consume()
            yield
            self._socket.settimeout(GOODBYE)
            consumer.cancel()

    def _received(self, message: kombu.Message) -> Received:
        info = message.delivery_info
        return Received(
            self.supernode,
            info["exchange"],
            info["routing_key"],
            bytes(message.body),
            message.properties.get("user_id"),
            partial(self._acknowledge, message),
        )

    def _acknowledge(self, message: kombu.Message) -> None:
        """What cannot be acknowledged any more comes again."""
        channel = message.channel
        errors = (*self._connection.connection_errors, *self._connection.channel_errors)
        if channel is not None and channel.is_open:
            with suppress(*errors):
                message.ack()


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
            connect = min(self._timing.connect, timeout)
            if self._route is None or self._route.supernode != supernode:
                self.close()
                peer = self._peers.get(supernode)
                if peer is None:
                    text = f"{supernode} is none of the supernodes in the settings"
                    raise ConnectionLostError(text)
                self._route = self._opened(peer, connect).__enter__()
            route = self._route
            return route.ask(message, request or str(uuid4()), timeout)
        except NmBusError:
            self.close()
            raise

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
