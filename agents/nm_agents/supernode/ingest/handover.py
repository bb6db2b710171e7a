"""A changed number of ingest processes: every one of them inherits all members.

Which of them has a member is known only to the broker, which spreads the keys; the processes find
it out and drop the rest. Metrics that waited unread for a process that is no more are not kept.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import msgspec
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random

from nm_agents.ingest.memory import INHERITED, MEMBERS, MINUTES, database, node_of
from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.ingest import IngestedMember
from nm_bus.errors import StorageError
from nm_bus.messages import NodeId, Seconds
from nm_bus.storage.base import Store
from nm_bus.storage.sqlite import SqliteStore, open_store

KIND, NUMBER = "ingest", "partitions"
"""The row of the supernode's own store that tells how many processes there were."""

PATIENCE: Seconds = 20.0
"""How long processes of a life before, which end by themselves, may still hold their stores."""

AT_ONCE = 100

_decoder = msgspec.msgpack.Decoder(IngestedMember)

Rank = tuple[bool, Seconds]


def hand_over(folder: Path, partitions: int, store: Store) -> None:
    """Share all members when the number changed. Raises StorageError; may be repeated then."""
    before = _before(folder, store)
    if before not in (0, partitions):
        with ExitStack() as opened:
            places = [database(folder, n) for n in range(max(before, partitions))]
            stores = [opened.enter_context(closing(_opened(place))) for place in places]
            share(stores, partitions)
    store.put_many(KIND, {NUMBER: str(partitions).encode()})
    for file in folder.glob("ingest.*.*"):
        number = file.name.split(".")[1]
        if number.isdecimal() and int(number) >= partitions and file.suffix != ".lock":
            file.unlink(missing_ok=True)


def share(stores: Sequence[Store], partitions: int) -> None:
    """Give the first `partitions` of the stores every member of all, as inherited."""
    owners = _owners(stores)
    for n, store in enumerate(stores[:partitions]):
        stale = [key for key, _ in store.load(MINUTES) if owners.get(node_of(key), n) != n]
        store.delete(MINUTES, stale)
        for source, other in enumerate(stores):
            if other is not store:
                nodes = {node for node, owner in owners.items() if owner == source}
                for kind in (MEMBERS, MINUTES):
                    for page in _pages(
                        ((k, body) for k, body in other.load(kind) if node_of(k) in nodes)
                    ):
                        store.put_many(kind, page)
        store.put_many(INHERITED, dict.fromkeys(owners, b"1"))


def _owners(stores: Sequence[Store]) -> dict[NodeId, int]:
    """The store whose word on a member counts: one that was sure of it, or else the freshest."""
    best: dict[NodeId, tuple[Rank, int]] = {}
    for n, store in enumerate(stores):
        inherited = {node for node, _ in store.load(INHERITED)}
        for node, body in store.load(MEMBERS):
            kept = attempt(partial(_decoder.decode, body))
            if isinstance(kept, Unreadable):
                continue
            rank = (node not in inherited, kept.heard)
            if node not in best or rank > best[node][0]:
                best[node] = rank, n
    return {node: n for node, (_, n) in best.items()}


def _pages(rows: Iterator[tuple[str, bytes]]) -> Iterator[dict[str, bytes]]:
    page: dict[str, bytes] = {}
    for key, body in rows:
        page[key] = body
        if len(page) >= AT_ONCE:
            yield page
            page = {}
    yield page


def _before(folder: Path, store: Store) -> int:
    told = dict(store.load(KIND)).get(NUMBER)
    if told is not None:
        return int(told)
    return len(list(folder.glob("ingest.*.db")))


@retry(
    retry=retry_if_exception_type(StorageError),
    stop=stop_after_delay(PATIENCE),
    wait=wait_random(0.5, 1.0),
    reraise=True,
)
def _opened(path: Path) -> SqliteStore:
    return open_store(path, rebuildable=True)
