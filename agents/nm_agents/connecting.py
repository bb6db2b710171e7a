"""The way from a service to its broker, from the settings of whichever service it is."""

import random

from nm_bus.settings import Broker, MemberSettings, SupernodeSettings, timing
from nm_bus.topology import vhost
from nm_bus.transport.pika import PikaTransport


def connect(
    settings: MemberSettings | SupernodeSettings, name: str, *brokers: Broker, separate: bool
) -> PikaTransport:
    """A transport to the first of `brokers` that answers, as the node of the settings; it connects
    when it is run.

    `name` is what the broker calls the connection. `separate` gives publishing one of its own: for
    whoever reads so much that being blocked must not hold that up.
    """
    return PikaTransport(
        brokers=brokers,
        vhost=vhost(settings.project),
        user=settings.node,
        tls=settings.tls,
        timing=timing(settings),
        name=name,
        random=random.random,
        separate=separate,
    )
