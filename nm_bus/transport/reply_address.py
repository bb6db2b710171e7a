"""The broker's own reply addresses, told from what somebody made up. Pure.

A made-up one is no mere nonsense: RabbitMQ 3 takes it apart, fails, and closes the connection of
whoever answers. So one request could cut a service off, again and again.
"""

import base64
import binascii
import re

REPLY_TO = "amq.rabbitmq.reply-to"
"""What an asker reads, and gives for its address; the broker puts the real one in its place."""

REPLY_PREFIX = f"{REPLY_TO}."

_PROCESS = re.compile(rb"\x83Xv\x00(?P<length>.)(?P<node>reply@[0-9]{1,10}).{12}", re.DOTALL)
"""An Erlang process id on a node without its name: in Erlang's external term format."""


def is_reply_address(key: str) -> bool:
    """Whether a broker could have given this address: a process, a dot, and the asker's secret."""
    process, dot, secret = key.removeprefix(REPLY_PREFIX).partition(".")
    if not key.startswith(REPLY_PREFIX) or not dot or not _decoded(secret):
        return False
    found = _PROCESS.fullmatch(_decoded(process))
    return found is not None and found["length"][0] == len(found["node"])


def reply_node(key: str) -> bytes:
    """Which of a broker's nodes a reply address leads to, as `address_of` names them."""
    process = key.removeprefix(REPLY_PREFIX).partition(".")[0]
    found = _PROCESS.fullmatch(_decoded(process))
    return found["node"] if found else b""


def address_of(node: str) -> bytes:
    """How reply addresses name a node of a broker: by Erlang's `phash2` of its name, an atom,
    which is the hash of P. J. Weinberger cut to 27 bits."""
    value = 0
    for byte in node.encode():
        value = (value << 4) + byte
        high = value & 0xF000_0000
        value ^= high | high >> 24
    return b"reply@%d" % (value & 0x7FF_FFFF)


def _decoded(text: str) -> bytes:
    """Base64 of either alphabet, padded or not; nothing when it is none."""
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
