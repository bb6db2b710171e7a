"""Where a broker is, as it is written on a command line: `sn1.llnl.gov[@ADDRESS][:PORT]`."""

from typing import Any
from urllib.parse import urlsplit

from nm_bus.errors import ConfigError

AMQPS = 5671


def place_of(option: str, text: str) -> tuple[str, dict[str, Any]]:
    """A node and its table `broker` in a settings file; raises ConfigError.

    An IPv6 address stands in brackets: `sn1.llnl.gov@[2001:db8::1]:5671`.
    """
    node, at, rest = text.partition("@")
    if not at:
        node, colon, port = text.partition(":")
        rest = f"{colon}{port}"
    try:
        parts = urlsplit(f"//{rest}")
        address, port_number = parts.hostname or "", parts.port
        is_place = not (parts.path or parts.query or parts.fragment or "@" in rest)
    except ValueError:
        is_place = False
    if not is_place or port_number == 0:
        fix = "give NODE[@ADDRESS][:PORT], an IPv6 address in brackets: NODE@[::1]:5671"
        raise ConfigError(option, f"{text!r} cannot be read", fix)
    table: dict[str, Any] = {"host": node, "port": port_number or AMQPS}
    return node, table | ({"address": address} if address else {})
