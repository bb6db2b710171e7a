"""How the bench connects to a broker: with a certificate, like everybody."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.credentials import ExternalCredentials

from nm_bus.errors import TimedOutError
from nm_bus.messages import Seconds
from nm_bus.settings import Broker, Tls, connects_to
from nm_bus.topology import vhost
from nm_bus.transport.base import Flow, Status
from nm_bus.transport.pika import PikaTransport
from nm_bus.transport.tls import client_context

CONNECTED: Seconds = 20.0
"""How long connecting may take, and ending the connection."""


def parameters(broker: Broker, project: str, tls: Tls) -> pika.ConnectionParameters:
    """What pika needs to connect; without heartbeats, since the bench's processes never rest."""
    address, port = connects_to(broker)
    return pika.ConnectionParameters(
        host=address,
        port=port,
        virtual_host=vhost(project),
        credentials=ExternalCredentials(),
        ssl_options=pika.SSLOptions(client_context(tls), broker.host),
        heartbeat=0,
    )


@contextmanager
def running(transport: PikaTransport) -> Iterator[None]:
    """Within, a transport is connected, on a thread of its own; raises TimedOutError."""
    up = threading.Event()

    def status(status: Status) -> None:
        if status.flow is Flow.UP:
            up.set()

    transport.on_status(status)
    thread = threading.Thread(target=transport.run, daemon=True)
    thread.start()
    try:
        if not up.wait(CONNECTED):
            raise TimedOutError(f"the broker cannot be reached within {CONNECTED:g} s")
        yield
    finally:
        transport.call_threadsafe(transport.stop)
        thread.join(CONNECTED)
