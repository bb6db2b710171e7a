"""The spool keeps what it was given, through kills and damage, within its bounds."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nm_bus.errors import StorageError
from nm_bus.storage.spool import OVERHEAD, Spool

LARGE = 10_000_000
DAY = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = Spool.open(path, LARGE, DAY)
    yield spool
    spool.close()


def bodies(spool: Spool, limit: int = 100) -> list[bytes]:
    return [record.body for record in spool.oldest(limit)]


def test_records_come_back_in_the_order_in_which_they_were_put(spool: Spool) -> None:
    for n in range(5):
        spool.put(b"%d" % n, measured=100.0 - n, now=100.0)
    assert bodies(spool) == [b"0", b"1", b"2", b"3", b"4"]
    assert bodies(spool, 2) == [b"0", b"1"]


def test_reading_removes_nothing_and_retiring_removes_one(spool: Spool) -> None:
    first = spool.put(b"a", 1.0, 1.0)
    spool.put(b"b", 1.0, 1.0)
    spool.retire(first.id)
    spool.retire(first.id)
    assert bodies(spool) == bodies(spool) == [b"b"]
    assert (spool.count, spool.bytes, spool.dropped) == (1, 1 + OVERHEAD, 0)


def test_records_in_flight_are_left_out(spool: Spool) -> None:
    ids = [spool.put(b"%d" % n, 1.0, 1.0).id for n in range(4)]
    assert [r.body for r in spool.oldest(2, beyond=frozenset(ids[:2]))] == [b"2", b"3"]


def test_a_full_spool_drops_the_oldest_and_counts_them(path: Path) -> None:
    spool = Spool.open(path, max_bytes=10 * (100 + OVERHEAD), max_age=DAY)
    for n in range(25):
        spool.put(b"%-100d" % n, 1.0, 1.0)
    assert [int(body) for body in bodies(spool)] == list(range(15, 25))
    assert (spool.count, spool.dropped) == (10, 15)
    spool.close()


def test_the_newest_record_stays_even_if_it_is_larger_than_the_spool(path: Path) -> None:
    spool = Spool.open(path, max_bytes=1000, max_age=DAY)
    spool.put(b"x" * 2000, 1.0, 1.0)
    assert spool.count == 1
    spool.close()


def test_records_older_than_the_spool_keeps_are_dropped_and_counted(path: Path) -> None:
    spool = Spool.open(path, LARGE, max_age=60.0)
    spool.put(b"old", measured=0.0, now=0.0)
    spool.put(b"new", measured=50.0, now=50.0)
    spool.expire(now=61.0)
    assert bodies(spool) == [b"new"]
    assert spool.dropped == 1
    spool.close()


def test_a_spool_opened_again_holds_what_it_held(path: Path) -> None:
    spool = Spool.open(path, LARGE, DAY)
    record = spool.put(b"kept", 12.5, 13.0)
    spool.close()
    again = Spool.open(path, LARGE, DAY)
    assert again.oldest(10) == [record]
    assert (again.count, again.bytes) == (1, 4 + OVERHEAD)
    again.close()


def test_an_emptied_spool_gives_its_disk_space_back(path: Path) -> None:
    spool = Spool.open(path, LARGE, max_age=60.0)
    for _ in range(200):
        spool.put(b"x" * 4000, 0.0, 0.0)
    spool.expire(now=100.0)
    spool.close()
    assert path.stat().st_size < 50_000


WRITER = """
import sys
from pathlib import Path
from nm_bus.storage.spool import Spool
spool = Spool.open(Path(sys.argv[1]), 10_000_000, 86_400.0)
for n in range(1_000_000):
    spool.put(b"%d" % n, 1.0, 1.0)
    print(n, flush=True)
"""


def test_a_killed_process_loses_nothing_that_was_put(path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 200:
            os.kill(writer.pid, signal.SIGKILL)
            break
    told = [int(line), *(int(line) for line in writer.stdout)][-1]
    writer.stdout.close()
    assert writer.wait(30) == -signal.SIGKILL
    spool = Spool.open(path, LARGE, DAY)
    held = [int(body) for body in bodies(spool, 1_000_000)]
    assert held[: told + 1] == list(range(told + 1))
    spool.close()


def killed_with(path: Path, count: int) -> None:
    """Leave a file as a killed process does: the log is there and was not merged."""
    script = WRITER.replace("1_000_000):", f"{count}):") + "import os; os.kill(os.getpid(), 9)"
    subprocess.run(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.DEVNULL, check=False
    )


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_torn_tail_is_cut_off_and_what_stood_before_it_is_kept(path: Path, cut: int) -> None:
    killed_with(path, 20)
    log = path.with_name(path.name + "-wal")
    os.truncate(log, log.stat().st_size - cut)
    spool = Spool.open(path, LARGE, DAY)
    held = [int(body) for body in bodies(spool)]
    assert held == list(range(len(held)))
    assert len(held) >= 17
    spool.put(b"20", 1.0, 1.0)
    spool.close()


@pytest.mark.parametrize("damage", [b"this is no database" * 300, b"\0" * 9000])
def test_a_file_that_is_no_database_is_put_aside(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    spool = Spool.open(path, LARGE, DAY)
    spool.put(b"a", 1.0, 1.0)
    assert bodies(spool) == [b"a"]
    assert path.with_name("spool.sqlite.damaged").read_bytes() == damage
    spool.close()


def test_damage_within_the_file_is_found_at_the_start(path: Path) -> None:
    spool = Spool.open(path, LARGE, DAY)
    for n in range(200):
        spool.put(b"%-1000d" % n, 1.0, 1.0)
    spool.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(60_000))
    again = Spool.open(path, LARGE, DAY)
    assert again.count == 0
    assert path.with_name("spool.sqlite.damaged").exists()
    again.close()


def test_a_folder_that_is_not_there_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"the spool cannot be opened"):
        Spool.open(tmp_path / "gone" / "spool.sqlite", LARGE, DAY)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from nm_bus.errors import StorageError
from nm_bus.storage.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool.open(Path(sys.argv[1]), 10_000_000, 86_400.0)
spool.put(b"kept", 1.0, 1.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    spool.put(b"x" * 200_000, 1.0, 1.0)
except StorageError as error:
    print(error)
assert (spool.count, len(spool.oldest(9))) == (1, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
spool.put(b"later", 1.0, 1.0)
assert [r.body for r in spool.oldest(9)] == [b"kept", b"later"]
"""


def test_a_full_disk_refuses_the_record_and_keeps_the_others(path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("the spool cannot be written: ")
