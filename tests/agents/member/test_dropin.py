"""Files that anyone may leave: good ones are taken once, bad ones put aside, nothing is trusted."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nm_agents.member import dropin
from nm_agents.member.dropin import KEPT_IN_QUARANTINE, DropIn, Durable, watch
from nm_agents.member.metricfile import MetricFile
from nm_bus.messages import Seconds
from nm_bus.testing.clock import VirtualClock

GOOD = b'{"queue.depth": 7}'


@dataclass
class Folder:
    """A drop-in folder, and what was taken from it."""

    path: Path
    clock: VirtualClock
    durable: bool = True
    taken: list[tuple[MetricFile, Seconds]] = field(default_factory=list)

    def offer(self, metrics: MetricFile, measured: Seconds, durable: Durable) -> None:
        self.taken.append((metrics, measured))
        durable(self.durable)

    def put(self, name: str, body: bytes = GOOD) -> Path:
        file = self.path / name
        file.write_bytes(body)
        os.utime(file, (self.clock.now(), self.clock.now()))
        return file

    def names(self) -> set[str]:
        return {file.name for file in self.path.iterdir()} - {"quarantine"}

    def reasons(self) -> list[str]:
        return [file.read_text() for file in sorted((self.path / "quarantine").glob("*.reason"))]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, VirtualClock())


@pytest.fixture
def drop_in(folder: Folder) -> DropIn:
    drop_in = DropIn(folder.path, 1024, folder.clock, folder.offer, folder.clock.now)
    drop_in.begin()
    return drop_in


def test_a_file_that_rests_is_taken_once_and_removed(folder: Folder, drop_in: DropIn) -> None:
    folder.put("thredds.json")
    drop_in.changed()
    folder.clock.advance(60.0)
    ((metrics, _),) = folder.taken
    assert metrics.values == {"queue.depth": 7.0}
    assert folder.names() == set()


def test_a_file_is_found_even_when_nobody_told_of_it(folder: Folder, drop_in: DropIn) -> None:
    folder.put("thredds.json")
    folder.clock.advance(60.0)
    assert len(folder.taken) == 1


def test_its_values_were_measured_when_the_file_was_written(
    folder: Folder, drop_in: DropIn
) -> None:
    written = folder.clock.now()
    folder.put("a")
    folder.clock.advance(60.0)
    assert folder.taken[0][1] == written


def test_a_file_that_changes_is_not_taken_until_it_rests(folder: Folder, drop_in: DropIn) -> None:
    for n in range(20):
        folder.put("a", b'{"x": 1' + b" " * n)
        drop_in.changed()
        folder.clock.advance(0.9)
    assert folder.taken == []
    folder.put("a", b'{"x": 1}')
    drop_in.changed()
    folder.clock.advance(3.0)
    assert len(folder.taken) == 1


def test_a_half_written_file_is_tried_again(folder: Folder, drop_in: DropIn) -> None:
    folder.put("a", b'{"x": ')
    drop_in.changed()
    folder.clock.advance(5.0)
    assert folder.names() == {"a"}
    folder.put("a", b'{"x": 1}')
    folder.clock.advance(20.0)
    assert len(folder.taken) == 1


@pytest.mark.parametrize("name", [".hidden", "a.tmp", "a.part", "a~"])
def test_names_of_unfinished_files_are_left_alone(
    folder: Folder, drop_in: DropIn, name: str
) -> None:
    folder.put(name)
    folder.clock.advance(60.0)
    assert folder.names() == {name}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON: Input data was truncated"),
        (b"{", "not JSON: Input data was truncated"),
        (b"\xff\xfe", "not JSON: "),
        (b"[1, 2]", "Expected `object`, got `array`"),
        (b"{}", "Expected `object` of length >= 1"),
        (b'{"a": "7"}', "series 'a': Expected `float`, got `str`"),
        (b'{"a": 1, "b c": 2}', "series 'b c': Expected `str` matching regex"),
        (b'{"a": true}', "series 'a': Expected `float`, got `bool`"),
        (b'{"a": NaN}', "not JSON: "),
        (b"[" * 1000, "n"),
        (b'{"values": {"a": 1}, "declared": [{"name": "a"}]}', "Object missing required field"),
        (b"x" * 2000, "2000 bytes where 1024 are allowed"),
    ],
)
def test_a_broken_file_goes_to_quarantine_with_its_reason(
    folder: Folder, drop_in: DropIn, body: bytes, reason: str
) -> None:
    folder.put("bad.json", body)
    folder.put("good.json")
    folder.clock.advance(60.0)
    assert len(folder.taken) == 1
    assert folder.names() == set()
    (told,) = folder.reasons()
    assert told.startswith(reason)
    (kept,) = (folder.path / "quarantine").glob("*-bad.json")
    assert kept.read_bytes() == body
    assert drop_in.quarantined == 1


def test_links_and_pipes_are_not_opened(folder: Folder, drop_in: DropIn, tmp_path: Path) -> None:
    secret = tmp_path.parent / f"{tmp_path.name}-secret"
    secret.write_bytes(GOOD)
    (folder.path / "link").symlink_to(secret)
    (folder.path / "dangling").symlink_to("/nowhere")
    os.mkfifo(folder.path / "pipe")
    (folder.path / "folder").mkdir()
    folder.clock.advance(60.0)
    assert folder.taken == []
    assert folder.reasons() == ["not a plain file\n"] * 3
    assert secret.exists()
    assert folder.names() == {"folder"}


def test_the_quarantine_is_bounded(folder: Folder, drop_in: DropIn) -> None:
    for n in range(KEPT_IN_QUARANTINE + 30):
        folder.put(f"bad{n}.reason", b"x")
    folder.clock.advance(120.0)
    kept = [f for f in (folder.path / "quarantine").iterdir() if f.suffix != ".reason"]
    assert len(kept) == len(folder.reasons()) == KEPT_IN_QUARANTINE


def test_a_quarantine_that_is_a_link_is_not_followed(
    folder: Folder, drop_in: DropIn, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder.path / "quarantine").symlink_to(elsewhere)
    folder.put("bad", b"x")
    folder.clock.advance(60.0)
    assert list(elsewhere.iterdir()) == []
    assert (folder.path / "bad").exists()


def test_a_file_that_is_not_safe_yet_is_kept_and_offered_again(
    folder: Folder, drop_in: DropIn
) -> None:
    folder.durable = False
    folder.put("a")
    folder.clock.advance(40.0)
    assert len(folder.taken) >= 2
    assert len(folder.names()) == 1
    folder.durable = True
    folder.clock.advance(40.0)
    assert folder.names() == set()


def test_a_file_taken_by_an_agent_that_died_is_taken_up_again(folder: Folder) -> None:
    folder.durable = False
    DropIn(folder.path, 1024, folder.clock, folder.offer, folder.clock.now).begin()
    folder.put("a")
    folder.clock.advance(40.0)
    folder.taken.clear()
    folder.durable = True
    DropIn(folder.path, 1024, folder.clock, folder.offer, folder.clock.now).scan()
    assert len(folder.taken) == 1
    assert folder.names() == set()


def test_a_newer_file_of_the_same_name_is_taken_too(folder: Folder, drop_in: DropIn) -> None:
    folder.durable = False
    folder.put("a", b'{"x": 1}')
    folder.clock.advance(20.0)
    folder.put("a", b'{"x": 2}')
    folder.clock.advance(20.0)
    folder.durable = True
    folder.clock.advance(40.0)
    assert {metrics.values["x"] for metrics, _ in folder.taken} == {1.0, 2.0}
    assert folder.names() == set()


def test_a_thousand_files_are_taken_in_turns(folder: Folder, drop_in: DropIn) -> None:
    for n in range(1000):
        folder.put(f"f{n}")
    folder.clock.advance(120.0)
    assert len(folder.taken) == 1000


def test_units_may_be_declared(folder: Folder, drop_in: DropIn) -> None:
    full = {
        "values": {"tds.requests": 5, "tds.time[/a]": 0.5},
        "declared": [{"name": "tds.requests", "unit": "1", "kind": "counter"}],
    }
    folder.put("a", json.dumps(full).encode())
    folder.clock.advance(60.0)
    (declared,) = folder.taken[0][0].declarations()
    assert (declared.name, declared.unit, declared.kind) == ("tds.requests", "1", "counter")


@pytest.fixture
def told(tmp_path: Path) -> Iterator[list[int]]:
    told: list[int] = []
    end = watch(tmp_path, lambda: told.append(1))
    yield told
    end()


def test_a_new_file_is_told_of_by_the_system(told: list[int], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(GOOD)
    end = time.monotonic() + 30.0
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    assert told


def test_a_files_age_is_taken_from_the_clock_that_dated_it(folder: Folder) -> None:
    """The agent was started before the clock was set: its own is two days ahead for its life."""
    ahead = 2 * 86_400.0
    clock = folder.clock
    drop_in = DropIn(folder.path, 1024, clock, folder.offer, lambda: clock.now() - ahead)
    drop_in.begin()
    file = folder.put("thredds.json")
    before = clock.now()
    os.utime(file, (before - ahead, before - ahead))
    clock.advance(60.0)
    ((_, measured),) = folder.taken
    assert measured == pytest.approx(before, abs=1e-3)


def test_a_name_of_many_bytes_is_taken_like_any_other(folder: Folder, drop_in: DropIn) -> None:
    folder.put("\u00e4" * 120)
    folder.clock.advance(60.0)
    assert len(folder.taken) == 1
    assert folder.names() == set()


def test_a_name_that_is_no_text_is_taken_like_any_other(folder: Folder, drop_in: DropIn) -> None:
    folder.put(os.fsdecode(b"k\xe4se"))
    folder.put(os.fsdecode(b"broken\xe4"), b"no json")
    folder.clock.advance(60.0)
    assert len(folder.taken) == 1
    assert folder.names() == set()


def test_folders_in_the_quarantine_are_left_alone(folder: Folder, drop_in: DropIn) -> None:
    for number in range(KEPT_IN_QUARANTINE + 1):
        (folder.path / "quarantine" / f"{number:04}").mkdir(parents=True)
    folder.put("broken", b"no json")
    folder.clock.advance(60.0)
    assert len(folder.reasons()) == 1
    assert folder.names() == set()


@pytest.mark.parametrize("failure", [OSError(28, "no watches"), RuntimeError("no threads")])
def test_without_notices_the_folder_is_looked_at_all_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    def fails(*_: object) -> None:
        raise failure

    monkeypatch.setattr(dropin, "begin_notices", fails)
    watch(tmp_path, lambda: None)()
    (record,) = caplog.records
    assert "no notice of changes" in record.getMessage()
