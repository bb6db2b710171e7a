"""What every store promises, whether it lasts or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nm_bus.errors import StorageError
from nm_bus.storage.base import Store
from nm_bus.storage.memory import MemoryStore
from nm_bus.storage.sqlite import open_store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else open_store(tmp_path / "s.db")
    yield store
    store.close()


def test_items_are_loaded_by_kind_in_the_order_of_their_keys(store: Store) -> None:
    store.put_many("member", {"b": b"2", "a": b"1"})
    store.put_many("alert", {"c": b"3"})
    assert list(store.load("member")) == [("a", b"1"), ("b", b"2")]
    assert list(store.load("nothing")) == []


def test_an_item_is_replaced(store: Store) -> None:
    store.put_many("member", {"a": b"1", "b": b""})
    store.put_many("member", {"a": b"2"})
    assert dict(store.load("member")) == {"a": b"2", "b": b""}


def test_items_are_deleted_and_absent_ones_are_no_error(store: Store) -> None:
    store.put_many("member", {"a": b"1", "b": b"2"})
    store.delete("member", ["a", "x"])
    store.delete("other", ["b"])
    assert list(store.load("member")) == [("b", b"2")]


def test_items_may_be_deleted_while_they_are_loaded(store: Store) -> None:
    keys = [f"{n:03}" for n in range(250)]
    store.put_many("member", dict.fromkeys(keys, b"x"))
    seen = []
    for key, _ in store.load("member"):
        seen.append(key)
        store.delete("member", [key])
    assert seen == keys
    assert list(store.load("member")) == []


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    store.put_many("member", {"a": b"1"})

    def fail() -> None:
        with store.transaction():
            store.put_many("member", {"a": b"2", "b": b"2"})
            store.delete("member", ["a"])
            raise OSError("the caller's own trouble")

    with pytest.raises(OSError, match="own trouble"):
        fail()
    assert list(store.load("member")) == [("a", b"1")]


def test_a_transaction_inside_another_is_a_part_of_it(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            with store.transaction():
                store.put_many("member", {"a": b"1"})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(store.load("member")) == []


def test_a_closed_store_says_so_and_may_be_closed_again(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.put_many("member", {"a": b"1"})
    with pytest.raises(StorageError, match="closed"):
        list(store.load("member"))
