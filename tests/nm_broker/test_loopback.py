import ipaddress
import random
import socket

import pytest

from nm_broker.loopback import DISTRIBUTION_PORTS, free_address, free_port, is_free
from nm_bus.errors import ConfigError


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert is_free("127.9.9.9", port)


def test_an_address_of_another_machine_is_not_free() -> None:
    assert not is_free("192.0.2.1", 5671)


@pytest.mark.parametrize("address", ["no.such.host.invalid", "a..b", "x" * 70])
def test_a_name_that_is_no_address_is_not_free(address: str) -> None:
    assert not is_free(address, 5671)


def test_every_address_is_free_only_where_each_is() -> None:
    with socket.create_server(("127.9.9.9", 0)) as server:
        assert not is_free("", server.getsockname()[1])
    assert is_free("", free_port(""))


def test_an_address_of_ipv6_is_tried_as_one() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        # a machine without IPv6 can listen on none of its addresses
        assert not is_free("::1", 5671)
        return
    with server:
        assert not is_free("::1", server.getsockname()[1])
    assert is_free("::1", free_port("::1"))


def test_addresses_are_loopback_and_differ() -> None:
    drawn = {free_address(5671, 15672) for _ in range(20)}
    assert all(ipaddress.ip_address(address).is_loopback for address in drawn)
    assert len(drawn) > 15


def test_an_address_in_use_is_passed_over() -> None:
    first, second = (free_address(39_671, draw=d) for d in _after(0, 1))
    with socket.create_server((first, 39_671)):
        assert free_address(39_671, draw=random.Random(7)) == second


def _after(*skipped: int) -> list[random.Random]:
    """The same draws, some of them already made: three an address."""
    draws = []
    for skip in skipped:
        draw = random.Random(7)
        for _ in range(skip):
            free_address(39_671, draw=draw)
        draws.append(draw)
    return draws


def test_when_no_address_has_the_port_free_a_person_is_told() -> None:
    class Stuck(random.Random):
        def randint(self, a: int, b: int) -> int:
            return 1

    with (
        socket.create_server(("127.1.1.1", 39_672)),
        pytest.raises(ConfigError, match="no address has the ports"),
    ):
        free_address(39_672, draw=Stuck())


def test_ports_are_below_those_of_outbound_connections() -> None:
    assert free_port() in DISTRIBUTION_PORTS
