"""How a broker routes: topic patterns and consistent hashing. Pure, and the same everywhere."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

Destination = TypeVar("Destination")


@lru_cache(maxsize=65_536)
def topic_matches(pattern: str, key: str) -> bool:
    """Tell whether a binding key matches a routing key: `*` is one word, `#` any number."""
    return _words_match(_words(pattern), _words(key))


def _words(key: str) -> list[str]:
    return key.split(".") if key else []


def _words_match(pattern: list[str], words: list[str]) -> bool:
    match pattern:
        case []:
            return not words
        case ["#", *rest]:
            return any(_words_match(rest, words[n:]) for n in range(len(words) + 1))
        case [first, *rest]:
            return bool(words) and first in ("*", words[0]) and _words_match(rest, words[1:])
    raise AssertionError(pattern)


def spread(key: str, weighted: Sequence[tuple[Destination, int]]) -> Destination:
    """Pick the destination of a key, the same one each time, by weight.

    Two exchanges whose destinations were bound in the same order give the same partition.
    """
    point = zlib.crc32(key.encode()) % sum(weight for _, weight in weighted)
    for destination, weight in weighted:
        point -= weight
        if point < 0:
            return destination
    raise AssertionError(key)
