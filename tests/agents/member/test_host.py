"""What is measured on this host, and that a dead file system stops nothing."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nm_agents.member import host
from nm_agents.member.host import Host
from nm_bus.catalogue import find

HUNG = "/hung"


def test_every_series_is_in_the_catalogue() -> None:
    values = Host(("/",)).measure().values
    assert [name for name in values if find(name) is None] == []
    assert {"host.load.1m", "host.cpu.percent", "disk.percent[/]", "net.sent.bytes"} <= set(values)


def test_the_values_are_those_of_this_host() -> None:
    values = Host(("/",)).measure().values
    assert values["host.memory.total"] == psutil.virtual_memory().total
    assert values["disk.total[/]"] == psutil.disk_usage("/").total
    assert 0 < values["agent.memory.rss"] < values["host.memory.total"]


def test_a_mount_point_that_is_not_there_brings_no_series_and_its_reason() -> None:
    found = Host(("/", "/nowhere")).measure()
    assert not [name for name in found.values if "nowhere" in name]
    assert found.troubles == {"disk /nowhere": "cannot be read: not there"}


def test_a_folder_where_nothing_is_mounted_is_never_measured_as_the_disk_above(
    tmp_path: Path,
) -> None:
    found = Host((str(tmp_path),)).measure()
    assert not [name for name in found.values if name.startswith("disk.")]
    assert found.troubles == {f"disk {tmp_path}": "cannot be read: nothing is mounted there"}


@pytest.mark.parametrize(
    ("call", "error", "missing"),
    [
        ("virtual_memory", KeyError("MemTotal"), "host.memory."),
        ("swap_memory", RuntimeError("no swap"), "host.swap."),
        ("net_io_counters", PermissionError(13, "denied"), "net."),
        ("boot_time", RuntimeError("line 'btime' not found"), "host.uptime"),
        ("cpu_percent", FileNotFoundError("/proc/stat"), "host.cpu.percent"),
        ("Process", psutil.NoSuchProcess(1), "agent."),
    ],
)
def test_what_a_host_refuses_to_say_is_one_missing_series_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, call: str, error: Exception, missing: str
) -> None:
    every = Host(("/",)).measure().values

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(psutil, call, fails)
    found = Host(("/",)).measure()

    assert any(name.startswith(missing) for name in every)
    assert found.values.keys() == {name for name in every if not name.startswith(missing)}
    assert [why.startswith("cannot be read: ") for why in found.troubles.values()] == [True]


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A file system that does not answer until its event is set."""
    answers, usage = threading.Event(), psutil.disk_usage

    def disk_usage(path: str) -> Any:
        if path == HUNG:
            answers.wait(60.0)
        return usage("/")

    monkeypatch.setattr(psutil, "disk_usage", disk_usage)
    monkeypatch.setattr(host, "is_mounted", lambda _: True)
    yield answers
    answers.set()


def test_a_file_system_that_hangs_stops_nothing_and_is_measured_once_it_answers(
    hung: threading.Event,
) -> None:
    this = Host(("/", HUNG))
    for _ in range(5):
        values = this.measure().values
        assert "disk.used[/]" in values
        assert f"disk.used[{HUNG}]" not in values
    hung.set()
    end = time.monotonic() + 30.0
    while f"disk.used[{HUNG}]" not in this.measure().values:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_hung_file_system_costs_one_thread_not_one_a_measurement(hung: threading.Event) -> None:
    this = Host((HUNG,))
    before = threading.active_count()
    for _ in range(10):
        this.measure()
    assert threading.active_count() <= before + 1
