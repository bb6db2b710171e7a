"""What was committed lasts, and what goes wrong is said in one sentence."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from nm_bus.errors import StorageError
from nm_bus.storage.sqlite import open_store

WRITER = """
import sys
from pathlib import Path
from nm_bus.storage.sqlite import open_store

store, number = open_store(Path(sys.argv[1])), 0
while True:
    number += 1
    with store.transaction():
        store.put_many("left", {f"{number:09}": b"x" * 500})
        store.put_many("right", {f"{number:09}": b"x" * 500})
    print(number, flush=True)
"""


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = open_store(path)
    store.put_many("member", {"a": b"1"})
    store.close()
    store = open_store(path)
    assert list(store.load("member")) == [("a", b"1")]
    store.close()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("committed", [1, 20, 60])
def test_kill_9_loses_nothing_that_was_committed(tmp_path: Path, committed: int) -> None:
    path = tmp_path / "state.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(committed)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    number = int(lines[-1])
    store = open_store(path)
    left, right = dict(store.load("left")), dict(store.load("right"))
    assert left == right
    assert len(left) >= number
    store.close()


def test_a_second_instance_is_told_that_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = open_store(path)
    with pytest.raises(StorageError, match=r"state\.db: another process uses it"):
        open_store(path, rebuildable=True)
    store.close()
    open_store(path).close()


def test_a_full_disk_is_said_and_undoes_the_transaction(tmp_path: Path) -> None:
    store = open_store(tmp_path / "state.db", max_bytes=64 * 1024)
    store.put_many("member", {"a": b"1"})
    with pytest.raises(StorageError, match="the disk is full"):
        store.put_many("member", {"a": b"2", "b": b"x" * 200_000})
    assert list(store.load("member")) == [("a", b"1")]
    store.put_many("member", {"a": b"3"})
    store.close()


def damage(path: Path) -> None:
    store = open_store(path)
    store.put_many("member", {f"{n}": b"x" * 1000 for n in range(100)})
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:20_000] + b"\xff" * 20_000 + whole[40_000:])


def test_a_damaged_file_is_said_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    damage(path)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="the file is damaged"):
        open_store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"no database at all " * 100])
def test_a_damaged_file_that_can_be_rebuilt_is_moved_aside(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "state.db"
    if content is None:
        damage(path)
    else:
        path.write_bytes(content)
    broken = path.read_bytes()
    store = open_store(path, rebuildable=True)
    assert store.moved_aside is not None
    assert store.moved_aside.name.startswith("state.db.damaged-2")
    assert store.moved_aside.read_bytes() == broken
    assert list(store.load("member")) == []
    store.put_many("member", {"a": b"1"})
    store.close()


def test_a_file_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE about SET value = 99 WHERE name = 'schema'")
    db.close()
    with pytest.raises(StorageError, match="later version"):
        open_store(path, rebuildable=True)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened; see whether its folder is there"):
        open_store(tmp_path / "none" / "state.db")


def test_a_folder_that_takes_no_file_is_said() -> None:
    with pytest.raises(StorageError, match=r"^/proc/state\.db: it cannot be opened"):
        open_store(Path("/proc/state.db"), rebuildable=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write where nobody else may")
def test_a_file_that_may_only_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_store(path).close()
    path.chmod(0o400)
    with pytest.raises(StorageError, match="permissions"):
        open_store(path)
