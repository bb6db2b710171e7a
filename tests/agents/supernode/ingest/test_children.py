"""A supernode's ingest processes: started again with growing, bounded pauses; ended for good."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nm_agents.supernode.ingest import children
from nm_agents.supernode.ingest.children import FIRST_PAUSE, LONGEST_PAUSE, STEADY, Children

LASTING = "import time; time.sleep(600)"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('ready', flush=True); time.sleep(600)"
)


@dataclass(slots=True)
class Programs(Children):
    """Starts programs of the test's instead of ingest processes."""

    code: str = LASTING
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def _start(self, partition: int) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, "-c", self.code], stdout=subprocess.PIPE)
        self.started.append(process)
        return process

    def end_last(self) -> None:
        self.started[-1].kill()
        self.close(self.started[-1])

    def close(self, process: "subprocess.Popen[bytes]") -> None:
        process.wait(30.0)
        assert process.stdout is not None
        process.stdout.close()


def programs(partitions: int, code: str = LASTING) -> Programs:
    return Programs(Path("none"), partitions, lambda: 1.0, code=code)


def end(made: Programs) -> None:
    made.stop()
    for process in made.started:
        made.close(process)


def test_there_is_one_process_for_each_partition() -> None:
    made = programs(2)
    made.watch(0.0)
    made.watch(1.0)
    assert len(made.started) == 2
    end(made)


def test_pauses_grow_up_to_a_bound_and_begin_anew_after_a_steady_life() -> None:
    made, now, pauses = programs(1), 0.0, []
    made.watch(now)
    for _ in range(9):
        made.end_last()
        made.watch(now)
        count, pause = len(made.started), 0.0
        while len(made.started) == count:
            pause += 0.5
            made.watch(now + pause)
        pauses.append(pause)
        now += pause
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    made.end_last()
    made.watch(now + STEADY + 1.0)
    made.watch(now + STEADY + 1.0 + FIRST_PAUSE)
    assert len(made.started) == 11, "as after a first end"
    end(made)


def test_stopping_ends_all_and_starts_none_again() -> None:
    made = programs(2)
    made.watch(0.0)
    made.stop()
    assert all(process.poll() is not None for process in made.started)
    made.watch(100.0)
    assert len(made.started) == 2
    end(made)


def test_one_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "PATIENCE", 0.2)
    made = programs(1, DEAF)
    made.watch(0.0)
    (process,) = made.started
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    made.stop()
    assert process.poll() == -9
    end(made)
