"""The way to a broker: its name, its port, and the TLS handshake with what it shows."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

from nm_agents.cli.doctor.certificates import SOON
from nm_agents.cli.doctor.finding import Finding, fail, ok, warn
from nm_agents.cli.screen.figures import plural
from nm_broker.loopback import is_free
from nm_bus.errors import ConfigError
from nm_bus.messages import Seconds
from nm_bus.settings import Broker, Tls, connects_to
from nm_bus.transport.tls import client_context


def examine_way(broker: Broker, tls: Tls, now: datetime, timeout: Seconds) -> Iterator[Finding]:
    """Go as far towards a broker as possible, and say where the way ends."""
    address, port = connects_to(broker)
    where = broker.where
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        fix = "correct the name in the settings or in DNS"
        why = getattr(error, "strerror", None) or "it is no name"
        yield fail("name", f"{address} does not resolve: {why}", fix)
        return
    yield ok("name", f"{broker.host} is at {found[0][4][0]}")
    try:
        connection = socket.create_connection((address, port), timeout)
    except OSError as error:
        why = error.strerror or "no answer in time"
        yield fail("port", f"{where}: {why}", "see that the broker runs and no firewall is between")
        return
    with connection:
        yield ok("port", f"{where} is open")
        yield _handshake(connection, broker, tls, now)


def examine_port(broker: Broker, timeout: Seconds) -> Iterator[Finding]:
    """Where nobody answers at a supernode's own port: whether its broker could listen there."""
    address, port = connects_to(broker)
    try:
        socket.create_connection((address, port), timeout).close()
    except (OSError, UnicodeError):
        where = f"{broker.address or 'every address'}, port {port}"
        if is_free(broker.address, port):
            text = f"{where}: nothing listens there"
            yield fail("listen", text, "start the broker: its unit, or `nm-bus broker run`")
        else:
            text = f"{where}: cannot be listened on: another program does, or it is not this host's"
            yield fail("listen", text, "see `ss -ltnp`, and `broker` in the settings")


def _handshake(connection: socket.socket, broker: Broker, tls: Tls, now: datetime) -> Finding:
    try:
        context = client_context(tls)
        with context.wrap_socket(connection, server_hostname=broker.host) as secured:
            return _shown(secured, broker, now)
    except ConfigError as error:
        return fail("tls", f"{error.where}: {error.what}", error.fix)
    except ssl.SSLCertVerificationError as error:
        fix = "correct `host`, or the broker's certificate, or `tls.ca`"
        return fail("tls", f"{broker.host} is not who it should be: {error.verify_message}", fix)
    except OSError as error:
        fix = "see the broker's log; its TLS settings or ours do not fit"
        return fail("tls", f"{broker.host}: the handshake failed: {error}", fix)


def _shown(secured: ssl.SSLSocket, broker: Broker, now: datetime) -> Finding:
    """The handshake has checked the name and the life; what is left of it is worth saying."""
    ends = ssl.cert_time_to_seconds(str((secured.getpeercert() or {})["notAfter"]))
    left = datetime.fromtimestamp(ends, UTC) - now
    text = f"{broker.host} proves its name; its certificate is good for {plural(left.days, 'day')}"
    if left < SOON:
        return warn("tls", text, "have the broker's certificate renewed")
    return ok("tls", text)
