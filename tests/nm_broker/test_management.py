"""The management client where there is no broker, or one that is not itself."""

import socket
from pathlib import Path

import pytest

from nm_broker.loopback import free_address
from nm_broker.management import ManagementApi
from nm_bus.errors import ConfigError, ConnectionLostError, TimedOutError
from nm_bus.settings import Management


def test_where_nobody_listens_the_connection_is_lost() -> None:
    api = ManagementApi(f"http://{free_address(15672)}:15672", "nm-bus", "secret")
    with pytest.raises(ConnectionLostError, match=r"cannot be reached: .*refused"):
        api.overview()


def test_where_nobody_answers_the_wait_has_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TimedOutError, match=r"did not answer within 0\.2 s"):
            ManagementApi(url, "nm-bus", "secret", timeout=0.2).overview()


@pytest.mark.parametrize(
    "url", ["", "localhost:15672", "http://[::1", "http://h:port", "ftp://h", "http://:15672"]
)
def test_what_is_no_address_of_an_api_is_a_setting_to_mend(url: str) -> None:
    with pytest.raises(ConfigError, match="is no address of an API"):
        ManagementApi.described(Management(url=url, password_file=Path("/none")))


def test_a_host_that_is_no_name_is_a_lost_connection() -> None:
    with pytest.raises(ConnectionLostError, match="cannot be reached"):
        ManagementApi("http://a..b:1", "nm-bus", "secret").overview()


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(ManagementApi("http://127.0.0.1:1", "nm-bus", "secret"))
