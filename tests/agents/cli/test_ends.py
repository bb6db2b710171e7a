"""Ends of real processes: signals, closed pipes, and services without the terminal's libraries."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nm_agents.cli.configuration import settings_path
from nm_agents.cli.init import _who
from nm_agents.exits import Exit
from nm_bus.errors import ConfigError

ENDLESS = """
import os, sys, time
from contextlib import contextmanager
from nm_agents.cli.app import app
from nm_bus.client.carrier import Received
from nm_bus.messages import Answer

class Endless:
    user, supernode = "n1", "sn1"
    ready = os.open("/dev/null", os.O_RDONLY)

    @contextmanager
    def line(self, peer):
        self.supernode = peer.node
        yield self

    def fileno(self):
        return self.ready

    def ask(self, message, request, timeout):
        return Answer("", True, data={"queue": "q"})

    @contextmanager
    def reading(self, queue, came, prefetch):
        self.came = came
        yield

    def wait(self, done, timeout):
        time.sleep(0.01)
        self.came(
            Received("sn1", "heartbeat", "gov.llnl.n1", b"x" * 1000, "n1", lambda: None)
        )

    def signed(self, change):
        return change, ""

    def close(self):
        pass

app(sys.argv[1:], obj=lambda settings: Endless())
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
    settings.write_text(
        'project = "demo"\n[[supernodes]]\nnode = "sn1.llnl.gov"\n'
        'broker = { host = "sn1.llnl.gov" }\n'
        '[tls]\nca = "ca.pem"\ncertificate = "me.pem"\nkey = "me.key"\n'
    )
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
    assert said == b"# hearing sn1.llnl.gov\n"


def test_ctrl_c_ends_it_without_a_traceback(endless: subprocess.Popen[bytes]) -> None:
    endless.send_signal(signal.SIGINT)
    said = endless.communicate(timeout=60)[1]
    assert endless.returncode == 130
    assert said == b"# hearing sn1.llnl.gov\n"


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
    assert said.returncode == Exit.CONFIG
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


def nm_bus(*words: str | bytes, **more: Any) -> "subprocess.CompletedProcess[str]":
    """A real process; what it prints as text."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    command = [sys.executable, "-m", "nm_agents.main", *words]
    return subprocess.run(command, text=True, timeout=60, check=False, **pipes)


def test_a_full_disk_on_standard_output_is_one_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        for words in (["--version"], ["pki", "create", str(tmp_path / "pki")], ["--help"]):
            said = nm_bus(*words, stdout=full)
            text = "nm-bus: standard output: cannot be written: No space left on device\n"
            assert (said.returncode, said.stderr) == (Exit.CONFIG, text)


def test_a_closed_standard_output_is_one_sentence() -> None:
    said = nm_bus("--version", preexec_fn=lambda: os.close(1), stdout=None)
    assert said.returncode == Exit.CONFIG
    assert said.stderr == "nm-bus: standard output: is closed; give it a file, or /dev/null\n"


def test_a_service_needs_no_standard_streams(tmp_path: Path) -> None:
    words = ("member", "run", "--config", str(tmp_path / "none.toml"))
    said = nm_bus(*words, preexec_fn=partial(os.closerange, 0, 2), stdout=None)
    assert (said.returncode, said.stderr.count("\n")) == (Exit.CONFIG, 1)
    assert "none.toml" in said.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["top", b"k\xe4se"],
        ["lock", "run", b"k\xe4se", "--", "true"],
        ["member", "run", "--config", b"k\xe4se"],
    ],
)
def test_an_argument_that_is_no_utf8_is_one_sentence(words: list[str | bytes]) -> None:
    said = nm_bus(*words)
    assert said.returncode == Exit.CONFIG
    assert said.stderr == "nm-bus: the argument k\\udce4se: is no UTF-8; rename it\n"


def test_a_user_without_a_home_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry in the system's list."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(ConfigError, match=r"^~/\.config/nm-bus/admin\.toml: there is no home"):
        settings_path(None, {})
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    assert _who() == str(os.getuid())


def test_a_full_disk_on_standard_error_leaves_the_exit_code(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        words = ("member", "run", "--config", str(tmp_path / "none.toml"))
        usual = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        for environment in (usual, usual | {"PYTHONUNBUFFERED": "1"}):
            assert nm_bus(*words, stderr=full, env=environment).returncode == Exit.CONFIG
