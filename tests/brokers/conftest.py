"""What tests of a broker's own life need: one that is theirs, and a look at its processes."""

import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from nm_broker.private import PrivateBroker
from nm_broker.testing.fleet import Fleet

EVENTUALLY = 60.0


@pytest.fixture
def private(fleet: Fleet) -> Iterator[PrivateBroker]:
    """A broker that is the test's own and not started. What runs in its folder is ended after."""
    planned = fleet.planned(secrets.randbelow(10**6) + 10)
    yield planned
    for pid in running_in(planned.folder):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(planned.folder, ignore_errors=True)


@pytest.fixture
def left_running() -> Callable[[PrivateBroker], list[int]]:
    """Which processes of a broker run, whatever their name."""
    return lambda broker: running_in(broker.folder)


def running_in(folder: Path) -> list[int]:
    return [
        process.info["pid"]
        for process in psutil.process_iter(["pid", "environ", "status"])
        if (process.info["environ"] or {}).get("HOME") == str(folder / "home")
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds; a minute without it is a failure."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + EVENTUALLY
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.05)

    return wait
