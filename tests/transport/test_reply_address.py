"""Which addresses are answered: a broker's own, and nobody's inventions."""

import base64

import pytest

from nm_bus.transport.base import REPLY_PREFIX, address_of, is_reply_address, reply_node

PROCESS = b"\x83Xv\x00\x0freply@104048116\x00\x00\x1c\xe6\x00\x00\x00\x00k\x02\x11\xf8"
SECRET = "TnQpjvnXY7mraiDH8C7waw=="


def address(process: bytes) -> str:
    return f"{REPLY_PREFIX}{base64.b64encode(process).decode()}.{SECRET}"


def test_a_brokers_own_address_is_one() -> None:
    assert is_reply_address(address(PROCESS))


def test_an_address_in_the_alphabet_of_later_brokers_is_one() -> None:
    process = base64.urlsafe_b64encode(PROCESS).decode().rstrip("=")
    assert is_reply_address(f"{REPLY_PREFIX}{process}.{SECRET.rstrip('=')}")


@pytest.mark.parametrize(
    "made_up",
    [
        "",
        "inbox.n1.example.org",
        REPLY_PREFIX,
        f"{REPLY_PREFIX}.",
        f"{REPLY_PREFIX}AAAA",
        f"{REPLY_PREFIX}!!!.{SECRET}",
        f"{REPLY_PREFIX}g2gB.{SECRET}",
        f"{REPLY_PREFIX}\xe9.{SECRET}",
        address(PROCESS).removesuffix(SECRET),
        address(PROCESS + b"\x00"),
        address(PROCESS[:-1]),
        address(PROCESS.replace(b"\x00\x0f", b"\x00\x0e")),
        address(PROCESS.replace(b"reply@104048116", b"reply@10404811x")),
        address(b"\x83w\x05error"),
    ],
)
def test_what_no_broker_gave_is_none(made_up: str) -> None:
    assert not is_reply_address(made_up)


def test_an_address_tells_its_node() -> None:
    """The pair was seen on RabbitMQ 3.10.8 and on 4.0.5."""
    assert address_of("nm@localhost") == reply_node(address(PROCESS)) == b"reply@104048116"


def test_what_is_no_address_has_no_node() -> None:
    assert reply_node("inbox.n1.example.org") == b""
