"""What is measured on this host, and that a dead file system stops nothing."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from nm_agents.member.host import Host
from nm_bus.catalogue import find

HUNG = "/hung"


def test_every_series_is_in_the_catalogue() -> None:
    values = Host(("/",)).measure()
    assert [name for name in values if find(name) is None] == []
    assert {"host.load.1m", "host.cpu.percent", "disk.percent[/]", "net.sent.bytes"} <= set(values)


def test_the_values_are_those_of_this_host() -> None:
    values = Host(("/",)).measure()
    assert values["host.memory.total"] == psutil.virtual_memory().total
    assert values["disk.total[/]"] == psutil.disk_usage("/").total
    assert 0 < values["agent.memory.rss"] < values["host.memory.total"]


def test_a_mount_point_that_is_not_there_brings_no_series_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = Host(("/", "/nowhere"))
    for _ in range(3):
        assert not [name for name in host.measure() if "nowhere" in name]
    assert [r.message for r in caplog.records] == ["disk /nowhere cannot be measured"]


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A file system that does not answer until its event is set."""
    answers, usage = threading.Event(), psutil.disk_usage

    def disk_usage(path: str) -> Any:
        if path == HUNG:
            answers.wait(60.0)
        return usage("/")

    monkeypatch.setattr(psutil, "disk_usage", disk_usage)
    yield answers
    answers.set()


def test_a_file_system_that_hangs_stops_nothing_and_is_measured_once_it_answers(
    hung: threading.Event,
) -> None:
    host = Host(("/", HUNG))
    for _ in range(5):
        values = host.measure()
        assert "disk.used[/]" in values
        assert f"disk.used[{HUNG}]" not in values
    hung.set()
    end = time.monotonic() + 30.0
    while f"disk.used[{HUNG}]" not in host.measure():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_hung_file_system_costs_one_thread_not_one_a_measurement(hung: threading.Event) -> None:
    host = Host((HUNG,))
    before = threading.active_count()
    for _ in range(10):
        host.measure()
    assert threading.active_count() <= before + 1
