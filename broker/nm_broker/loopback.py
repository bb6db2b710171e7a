"""Addresses and ports of this machine alone, so that brokers side by side do not collide."""

import errno
import random
import socket
from typing import Any

from nm_bus.errors import ConfigError

TRIES = 100
DISTRIBUTION_PORTS = range(20_000, 32_000)
"""Below what Linux hands out for outbound connections, so that none takes it meanwhile."""


def is_free(address: str, port: int) -> bool:
    """Whether a server could listen there now; no address stands for every one that there is."""
    try:
        places = socket.getaddrinfo(
            address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        return False
    failed = {_why_not(family, place) for family, _, _, _, place in places}
    if address:
        return failed == {0}
    # a machine may have one of the two protocols alone
    return 0 in failed and failed <= {0, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def _why_not(family: int, place: Any) -> int:
    """The error's number of trying to listen at one place, 0 when it can be done."""
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def free_address(*ports: int, draw: random.Random | None = None) -> str:
    """A loopback address on which all `ports` are free: another one at each call, most likely."""
    draw = draw or random.SystemRandom()
    for _ in range(TRIES):
        address = f"127.{draw.randint(1, 254)}.{draw.randint(0, 255)}.{draw.randint(1, 254)}"
        if all(is_free(address, port) for port in ports):
            return address
    raise ConfigError("127.0.0.0/8", f"no address has the ports {ports} free", "stop old brokers")


def free_port(address: str = "127.0.0.1", draw: random.Random | None = None) -> int:
    """A port that is free for the Erlang machine's own protocol."""
    draw = draw or random.SystemRandom()
    for _ in range(TRIES):
        port = draw.choice(DISTRIBUTION_PORTS)
        if is_free(address, port):
            return port
    raise ConfigError(address, "no port is free", "stop old brokers")
