"""`nm-bus broker run`: how it ends, and that it leaves nothing running."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import tomli_w

from nm_broker.loopback import free_address
from nm_broker.pki import Authority
from nm_broker.program import Program, Unpacked
from nm_bus.settings import SupernodeSettings, load

from .conftest import running_in

pytestmark = pytest.mark.broker

NODE = "sn1.example.org"
LIMIT = 60.0

Eventually = Callable[[Callable[[], bool]], None]
Starts = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    tls = Authority.create(tmp_path / "pki").issue(NODE, tmp_path / "pki")
    address = free_address(5671, 15672)
    settings = {
        "project": "demo",
        "node": NODE,
        "folder": "state",
        "broker": {"host": NODE, "address": address},
        "tls": {"ca": str(tls.ca), "certificate": str(tls.certificate), "key": str(tls.key)},
        "management": {"url": f"http://{address}:15672", "password_file": "password"},
    }
    file = tmp_path / "supernode.toml"
    file.write_text(tomli_w.dumps(settings))
    return file


@pytest.fixture
def starts(config: Path, program: Program) -> Iterator[Starts]:
    """Starts the command; what is left of it at the end is killed."""
    more = ["--rabbitmq", str(program.root)] if isinstance(program, Unpacked) else []
    started: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        words = ["broker", "run", "--config", str(config), *more]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "nm_agents.main", *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def served(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    said = [process.stdout.readline(), process.stdout.readline()]
    assert "serves demo" in said[-1], said


def machines(config: Path) -> list[int]:
    return running_in(config.parent / "state" / "broker")


def test_ctrl_c_ends_it_cleanly(starts: Starts, config: Path, eventually: Eventually) -> None:
    process = starts()
    served(process)
    assert machines(config)
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT) == 0
    eventually(lambda: not machines(config))


def test_a_port_in_use_is_one_sentence(starts: Starts, config: Path) -> None:
    address = load(config, SupernodeSettings).broker.address
    with socket.create_server((address, 5671)):
        _, said = (process := starts()).communicate(timeout=LIMIT)
    assert (process.returncode, said.count("\n")) == (2, 1)
    assert f"{address}:5671" in said
    assert machines(config) == []


def test_a_broker_that_ends_by_itself_ends_it_too(starts: Starts, config: Path) -> None:
    process = starts()
    served(process)
    for pid in machines(config):
        with suppress(ProcessLookupError):  # a short-lived helper of the machine's
            os.kill(pid, signal.SIGKILL)
    _, said = process.communicate(timeout=LIMIT)
    assert (process.returncode, said.count("\n")) == (3, 1)
    assert "ended by itself" in said
