"""A store that forgets everything at its end: for tests, and for programs that keep nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from nm_bus.errors import StorageError


class MemoryStore:
    """A `Store` in memory. It keeps the same promises but that of lasting."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, bytes]] = defaultdict(dict)
        self._inside = self._closed = False

    def put_many(self, kind: str, items: Mapping[str, bytes]) -> None:
        """See Store."""
        self._still_open()
        self._kinds[kind].update(items)

    def delete(self, kind: str, keys: Iterable[str]) -> None:
        """See Store."""
        self._still_open()
        for key in keys:
            self._kinds[kind].pop(key, None)

    def load(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """See Store."""
        self._still_open()
        return iter(sorted(self._kinds[kind].items()))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See Store."""
        self._still_open()
        if self._inside:
            yield
            return
        before = {kind: dict(items) for kind, items in self._kinds.items()}
        self._inside = True
        try:
            yield
        except BaseException:
            self._kinds = defaultdict(dict, before)
            raise
        finally:
            self._inside = False

    def close(self) -> None:
        """See Store."""
        self._closed = True

    def _still_open(self) -> None:
        if self._closed:
            raise StorageError("the store in memory is closed")
