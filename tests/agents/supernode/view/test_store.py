"""A supernode's view over a restart: what can be read is taken up, and the log counts the rest."""

import msgspec
import pytest

from nm_agents.supernode.view.part import KIND, ViewStore
from nm_bus.core.view import Stream, View
from nm_bus.storage.memory import MemoryStore

HERE, THERE = "sn1.example.org", "sn2.example.org"
GOOD = msgspec.msgpack.encode(Stream("life", 7))


@pytest.mark.parametrize(
    ("key", "body"),
    [
        (f"{THERE}/1", b"\xc1"),
        (f"{THERE}/1", msgspec.msgpack.encode(["another", "layout"])),
        (f"{THERE}/one", GOOD),
        (f"{THERE}/²", GOOD),
        (THERE, GOOD),
    ],
    ids=["bytes", "layout", "word", "digit", "no partition"],
)
def test_a_row_that_cannot_be_read_is_left_out_counted_and_replaced(
    key: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store, view = MemoryStore(), View(HERE, 3.0)
    store.put_many(KIND, {key: body, f"{THERE}/0": GOOD})
    keeping = ViewStore(store, view)
    keeping.load()
    assert {speaker: stream.version for speaker, stream in view.streams.items()} == {(THERE, 0): 7}
    assert [record.getMessage() for record in caplog.records] == [
        "the supernode's store: 1 rows of kind 'stream' cannot be read, and are left out"
    ]
    keeping.save()
    assert [key for key, _ in store.load(KIND)] == [f"{THERE}/0"]


def test_what_can_all_be_read_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.put_many(KIND, {f"{THERE}/0": GOOD})
    ViewStore(store, View(HERE, 3.0)).load()
    assert caplog.records == []
