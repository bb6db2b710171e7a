"""Long lists in pages that fit into a message, whatever their items hold.

Pages are bounded by bytes: a count alone would let a few talkative nodes outgrow the largest
message, and then nobody would hear of anybody.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from nm_bus.codec import size_of
from nm_bus.topology import PEER_BYTES

T = TypeVar("T")

PAGE_BYTES = PEER_BYTES // 8
"""A page's size; one item more may stand on it, and one of a member is at most a megabyte."""


def pages(items: Iterable[T], limit: int = PAGE_BYTES) -> Iterator[tuple[T, ...]]:
    """Give the items in order, in tuples of about `limit` bytes; at least one, perhaps empty."""
    page: list[T] = []
    size = 0
    for item in items:
        if size >= limit:
            yield tuple(page)
            page, size = [], 0
        page.append(item)
        size += size_of(item)
    yield tuple(page)


def first_page(
    items: Iterable[T], most: int, limit: int = PAGE_BYTES
) -> tuple[tuple[T, ...], bool]:
    """Give the first items, at most `most` and within `limit` bytes unless the first alone is
    more, and whether there are others after them."""
    page: list[T] = []
    size = 0
    for item in items:
        size += size_of(item)
        if page and (size > limit or len(page) == most):
            return tuple(page), True
        page.append(item)
    return tuple(page), False
