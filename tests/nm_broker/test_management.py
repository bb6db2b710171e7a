"""The management client where there is no broker, or one that is not itself."""

import socket

import pytest

from nm_broker.loopback import free_address
from nm_broker.management import ManagementApi
from nm_bus.errors import ConnectionLostError, TimedOutError


def test_where_nobody_listens_the_connection_is_lost() -> None:
    api = ManagementApi(f"http://{free_address(15672)}:15672", "nm-bus", "secret")
    with pytest.raises(ConnectionLostError, match=r"cannot be reached: .*refused"):
        api.overview()


def test_where_nobody_answers_the_wait_has_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TimedOutError, match=r"did not answer within 0\.2 s"):
            ManagementApi(url, "nm-bus", "secret", timeout=0.2).overview()


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(ManagementApi("http://127.0.0.1:1", "nm-bus", "secret"))
