"""Relays bring every byte, late by their delay, and none while they are cut."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from nm_lab.federation.relay import Relays


@pytest.fixture
def relays() -> Iterator[Relays]:
    with Relays() as made:
        yield made


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that says everything back."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(10)


def said_back(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    came = b""
    while len(came) < len(data):
        came += connection.recv(65536)
    return came


def test_every_byte_arrives_in_order(relays: Relays, echo: tuple[str, int]) -> None:
    data = bytes(range(256)) * 200
    with socket.create_connection(relays.lay(echo).address, timeout=30) as connection:
        assert said_back(connection, data) == data


def test_both_directions_are_late_by_the_delay(relays: Relays, echo: tuple[str, int]) -> None:
    with socket.create_connection(relays.lay(echo, 0.05).address, timeout=30) as connection:
        begun = time.monotonic()
        said_back(connection, b"x")
        assert time.monotonic() - begun >= 0.1


def test_what_was_sent_while_it_is_cut_arrives_when_it_heals(
    relays: Relays, echo: tuple[str, int]
) -> None:
    relay = relays.lay(echo)
    with socket.create_connection(relay.address, timeout=30) as connection:
        assert said_back(connection, b"before") == b"before"
        relays.cut(relay)
        connection.sendall(b"meanwhile")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        relays.heal(relay)
        connection.settimeout(30)
        assert connection.recv(100) == b"meanwhile"


def test_a_connection_ends_when_the_other_side_ends_it(
    relays: Relays, echo: tuple[str, int]
) -> None:
    with socket.create_connection(relays.lay(echo).address, timeout=30) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
