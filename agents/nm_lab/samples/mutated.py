"""Real messages, spoilt in all the ways in which a broken or hostile sender may spoil them.

For tests of whoever reads messages. Chance comes in as an argument, so a seed gives the same again.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 2**70, 1e308, -0.0, "", "x" * 5_000, "\u0000", "\ud7ff", [], {}, [[]],
)  # fmt: skip
"""Values that are rarely what a field expects."""


def mutations(bodies: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """Spoil one of these messages after the other, without end. Some may still be valid."""
    while True:
        yield random.choice(_MUTATIONS)(random.choice(bodies), random)


def _cut(body: bytes, random: Random) -> bytes:
    return body[: random.randrange(len(body))]


def _flipped(body: bytes, random: Random) -> bytes:
    spoilt = bytearray(body)
    for _ in range(random.randint(1, 8)):
        spoilt[random.randrange(len(spoilt))] ^= 1 << random.randrange(8)
    return bytes(spoilt)


def _noise(_body: bytes, random: Random) -> bytes:
    return random.randbytes(random.randint(0, 300))


def _repeated(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body))
    return body[:at] + body


def _nested(_body: bytes, random: Random) -> bytes:
    depth = random.choice((33, 100, 5_000, 100_000))
    return b"[" * depth + b"]" * depth


def _without(body: bytes, random: Random) -> bytes:
    return _changed(body, random, lambda owner, key: owner.pop(key))


def _odd(body: bytes, random: Random) -> bytes:
    value = random.choice(ODD)
    return _changed(body, random, lambda owner, key: owner.__setitem__(key, value))


def _buried(body: bytes, random: Random) -> bytes:
    return _changed(body, random, lambda owner, key: owner.__setitem__(key, _tower(owner[key])))


def _tower(value: Any) -> Any:
    for _ in range(40):
        value = [value]
    return value


def _changed(body: bytes, random: Random, change: Callable[[Any, Any], object]) -> bytes:
    event = json.loads(body)
    owner, key = random.choice(list(_places(event)))
    change(owner, key)
    return json.dumps(event).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value in a JSON document, as its container and its key."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


_MUTATIONS = (_cut, _flipped, _noise, _repeated, _nested, _without, _odd, _buried)
