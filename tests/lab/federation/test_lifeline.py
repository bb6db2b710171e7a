"""What a lifeline promises: nothing of the group outlives who held it, unless it is let go."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from nm_lab.federation.building import ProcessGroup

PATIENCE = 30.0

HOLDER = """
import subprocess, sys
from nm_lab.federation.building import ProcessGroup
lifeline = ProcessGroup()
for _ in range(2):
    held = subprocess.Popen(["sleep", "600"], process_group=lifeline.group)
    print(held.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_group_dies_with_a_holder_that_is_killed(holder: "subprocess.Popen[str]") -> None:
    assert holder.stdout is not None
    held = [int(holder.stdout.readline()) for _ in range(2)]
    assert all(lives(pid) for pid in held)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    deadline = time.monotonic() + PATIENCE
    while any(lives(pid) for pid in held):
        assert time.monotonic() < deadline, "it outlived its holder"
        time.sleep(0.02)


def test_what_is_let_go_lives_on() -> None:
    lifeline = ProcessGroup()
    with subprocess.Popen(["sleep", "600"], process_group=lifeline.group) as held:
        lifeline.let_go()
        assert lives(held.pid)
        held.kill()
    lifeline.let_go()
