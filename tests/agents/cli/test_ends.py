"""Ends of real processes: signals, closed pipes, and services without the terminal's libraries."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nm_agents.exits import Exit

ENDLESS = """
import sys, time
from contextlib import contextmanager
from nm_agents.app import app
from nm_bus.client.following import Heard, Received

class Endless:
    def follow(self, message):
        yield Heard("sn1")
        while True:
            yield Received("sn1", "heartbeat", "gov.llnl.n1", b"x" * 1000, "n1", lambda: None)
            time.sleep(0.01)

@contextmanager
def opened(settings):
    yield Endless()

app(sys.argv[1:], obj=opened)
"""

SERVICE = """
import sys
from nm_agents.main import main
sys.argv = ["nm-bus", *sys.argv[1:]]
try:
    code = main()
except SystemExit as end:
    code = end.code
print("typer" in sys.modules, "rich" in sys.modules, "kombu" in sys.modules)
sys.exit(code)
"""


def environment(settings: Path | str) -> dict[str, str]:
    return os.environ | {"NM_BUS_CONFIG": str(settings), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def endless(settings: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A tail that never ends by itself, after its first line."""
    command = [sys.executable, "-c", ENDLESS, "tail", "heartbeat"]
    pipe, own = subprocess.PIPE, environment(settings)
    with subprocess.Popen(command, env=own, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert b"unreadable" in process.stdout.readline()
        yield process
        process.kill()


def test_a_reader_that_has_seen_enough_ends_it_silently(endless: subprocess.Popen[bytes]) -> None:
    assert endless.stdout is not None
    endless.stdout.close()
    endless.stdout = None
    said = endless.communicate(timeout=60)[1]
    assert endless.returncode == 0
    assert said == b"# hearing sn1\n"


def test_ctrl_c_ends_it_without_a_traceback(endless: subprocess.Popen[bytes]) -> None:
    endless.send_signal(signal.SIGINT)
    said = endless.communicate(timeout=60)[1]
    assert endless.returncode == 130
    assert said == b"# hearing sn1\n"


@pytest.mark.parametrize(
    "service", [["member"], ["supernode"], ["ingest", "--partition", "0"]], ids=lambda s: s[0]
)
def test_a_service_says_what_to_mend_and_loads_nothing_for_people(
    service: list[str], tmp_path: Path
) -> None:
    name, *more = service
    missing = tmp_path / "none.toml"
    command = [sys.executable, "-c", SERVICE, name, "run", "--config", str(missing), *more]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == Exit.MEND
    assert str(missing) in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == "False False False\n"


@pytest.mark.parametrize("service", ["member", "supernode", "ingest"])
def test_a_service_has_help_of_its_own(service: str) -> None:
    command = [sys.executable, "-c", SERVICE, service, "run", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0
    assert f"nm-bus {service} run" in said.stdout
    assert "Example:" in said.stdout
