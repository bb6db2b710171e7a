"""How the bench connects to a broker: with a certificate, like everybody."""

import pika
from pika.credentials import ExternalCredentials

from nm_bus.settings import Broker, Tls, connects_to
from nm_bus.topology import vhost
from nm_bus.transport.tls import client_context


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
