"""The demonstration, as a person runs it: it verifies its own story and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nm_broker.program import Program

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400)]

DEMO = [sys.executable, "-m", "nm_agents.main", "demo"]


def left_in(folder: Path) -> list[str]:
    """The command lines of processes that have to do with a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.pid != os.getpid():
            found.append(line)
    return found


def test_the_story_is_verified_and_nothing_is_left(program: Program, tmp_path: Path) -> None:
    del program  # the demonstration runs on the distribution's RabbitMQ, which must be there
    folder = tmp_path / "demo"
    ended = subprocess.run(
        [*DEMO, "--json", "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    told = json.loads(ended.stdout)
    assert told["untrue"] == ""
    assert (ended.returncode, told["ok"]) == (0, True)
    assert len(told["verified"]) > 10
    assert left_in(folder) == []


def test_one_that_is_interrupted_while_it_starts_ends_everything(
    program: Program, tmp_path: Path
) -> None:
    del program
    folder = tmp_path / "demo"
    running = subprocess.Popen([*DEMO, "--folder", str(folder)], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for line in running.stdout:
        if "broker of" in line:
            break
    running.send_signal(signal.SIGINT)
    running.stdout.read()
    running.stdout.close()
    assert running.wait(60) == 130
    assert left_in(folder) == []
