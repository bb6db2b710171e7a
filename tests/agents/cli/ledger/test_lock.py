"""`nm-bus lock ...`."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nm_agents.cli import lock as locks
from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import ADMIN, Asking, Run

HELD_BY = f"session/{ADMIN}/s"


@pytest.fixture
def held(ask: Asking) -> int:
    ask("open", HELD_BY, {"ttl": 60_000})
    return ask("lock", "lock/reindex", {"session": HELD_BY}).revision


def python(code: str) -> tuple[str, ...]:
    return "--", sys.executable, "-c", code


def test_locks_are_listed_and_shown(run: Run, held: int) -> None:
    assert "reindex" in run("lock", "list").stdout
    (entry,) = json.loads(run("lock", "list", "--json").stdout)
    assert entry["value"]["token"] == held
    assert HELD_BY in run("lock", "show", "reindex").stdout
    assert run("lock", "show", "other").exit_code == 2


def test_no_lock_is_told(run: Run) -> None:
    assert run("lock", "list").stdout == "No lock is held.\n"


def test_a_command_runs_with_the_token_while_the_lock_is_held(
    run: Run, federation: FakeSupernodes, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    code = f"import os; open({str(file)!r}, 'w').write(os.environ['NM_BUS_LOCK_TOKEN'])"
    said = run("lock", "run", "reindex", *python(code))
    assert said.exit_code == 0, said.stderr
    tokens = [u.revision for u in federation[0].feed if u.change.kind == "lock"]
    assert tokens == [int(file.read_text())]
    assert federation[0].state.get("lock/reindex") is None


def test_the_commands_exit_code_is_ours(run: Run) -> None:
    assert run("lock", "run", "reindex", *python("raise SystemExit(7)")).exit_code == 7


def test_a_signal_that_ends_the_command_is_told_as_shells_do(run: Run) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert run("lock", "run", "reindex", *python(code)).exit_code == 128 + 15


@pytest.mark.usefixtures("held")
def test_a_lock_of_another_is_a_negative_result_and_nothing_runs(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ran"
    said = run("lock", "run", "reindex", *python(f"open({str(file)!r}, 'w')"))
    assert said.exit_code == 1
    assert f"nm-bus: reindex is held by {ADMIN} since " in said.stderr
    assert not file.exists()


@pytest.mark.parametrize("name", ["bad name!", "", "k\xe4se", "a\nb"])
def test_a_name_that_is_no_lock_s_is_said_in_words(run: Run, name: str) -> None:
    said = run("lock", "run", name, "--", "true")
    assert said.exit_code == 2
    assert "is no lock's name: letters, digits" in said.stderr


def test_a_command_that_is_not_there_is_told_and_the_lock_is_free_again(
    run: Run, federation: FakeSupernodes
) -> None:
    said = run("lock", "run", "reindex", "--", "/no/such/command")
    assert said.exit_code == 2
    assert "/no/such/command: cannot be run" in said.stderr
    assert federation[0].state.get("lock/reindex") is None


def test_a_command_is_told_to_end_when_we_are(run: Run, federation: FakeSupernodes) -> None:
    code = "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(600)"
    assert run("lock", "run", "reindex", *python(code)).exit_code == 128 + 15
    assert federation[0].state.get("lock/reindex") is None


@pytest.mark.parametrize(("listens", "code"), [(True, -15), (False, -9)])
def test_a_command_is_ended_once_its_lock_is_lost(listens: bool, code: int) -> None:
    deaf = "" if listens else "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    command = f"{deaf}print('up', flush=True); import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        grace = 60.0 if listens else 0.1
        assert locks._watched(process, lambda: True, grace) == code


HOLDER = """
import signal, sys, threading
from types import SimpleNamespace
from nm_agents.cli.lock import _run
for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
held = SimpleNamespace(token=1, lost=threading.Event(), name='reindex')
raise SystemExit(_run(sys.argv[2:], held, float(sys.argv[1])))
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
COMMAND = "import time; print('up', flush=True); time.sleep(600)"


@contextmanager
def holding(code: str, grace: float = 60.0) -> Iterator["subprocess.Popen[bytes]"]:
    """`lock run` as a process of its own, whose command has begun; ends once both are gone."""
    words = [sys.executable, "-c", HOLDER, str(grace), sys.executable, "-c", code]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        # the command has the pipe too: it ends when nobody is left
        assert process.stdout.read() == b""


ENDED_BY = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]


@pytest.mark.parametrize("number", [*ENDED_BY, signal.SIGALRM, signal.SIGRTMIN])
def test_every_ending_signal_ends_the_command_too(number: int) -> None:
    with holding(COMMAND) as process:
        process.send_signal(number)
    assert process.returncode == 128 + signal.SIGTERM


def test_ctrl_c_ends_the_command_too() -> None:
    with holding(COMMAND) as process:
        process.send_signal(signal.SIGINT)
    assert process.returncode != 0


@pytest.mark.parametrize(("deaf", "grace"), [("", 60.0), (DEAF, 0.1)])
def test_a_command_ends_when_its_holder_is_killed(deaf: str, grace: float) -> None:
    with holding(deaf + COMMAND, grace) as process:
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_a_signal_that_was_ignored_at_the_start_stays_ignored() -> None:
    code = "import os, signal; os.kill(os.getppid(), signal.SIGHUP); print('up', flush=True)"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with holding(code) as process:
            pass
    finally:
        signal.signal(signal.SIGHUP, before)
    assert process.returncode == 0
