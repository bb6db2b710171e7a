"""What a program keeps over a restart: bytes by kind and key, changed in transactions.

One process owns a store. Nothing here knows what the bytes mean.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class Store(Protocol):
    """A store. Each method raises StorageError, in one sentence, when the disk does not take it.

    A change is durable when the method returns, or in a transaction when that ends.
    """

    def put_many(self, kind: str, items: Mapping[str, bytes]) -> None:
        """Keep these items, in place of earlier ones of the same kind and key; all or none.

        A key is not empty.
        """

    def delete(self, kind: str, keys: Iterable[str]) -> None:
        """Drop these items; those that are not there are no error."""

    def load(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """All items of a kind in the order of their keys, read page by page to save memory.

        Items that change meanwhile are seen as they were or as they become.
        """

    def transaction(self) -> AbstractContextManager[None]:
        """What is done inside is kept as a whole, or with an exception not at all.

        A transaction inside another is a part of it.
        """

    def close(self) -> None:
        """Let go of everything. The store cannot be used afterwards; closing again is no error."""
