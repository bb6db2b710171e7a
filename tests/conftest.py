"""What holds for every run of the tests, and real brokers that they share.

Each test that needs a broker has a vhost of its own on one. `NM_BUS_TEST_RABBITMQ=4` runs the same
tests on RabbitMQ 4.x. Without RabbitMQ they are skipped at home and fail in CI, so that nobody
takes a green run for a tested one.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from nm_broker.pki import Authority
from nm_broker.program import Installed, Program, Unpacked
from nm_broker.testing.fleet import PROJECT, Fleet
from nm_broker.testing.leftovers import Ground
from nm_broker.testing.sandbox import Sandbox

FETCH = Path(__file__).parent / "brokers" / "fetch4.py"
CANNOT = 3
"""How fetch4.py ends on a machine that cannot run RabbitMQ 4.x."""
FETCH_LIMIT = 1200

# no deadline: how long an example takes says only how busy the machine is
settings.register_profile("plain", derandomize=True, deadline=None)
settings.register_profile("long", max_examples=1_000, print_blob=True, deadline=None)
settings.load_profile("plain")  # `--hypothesis-profile long` draws new examples each time


# --- every run


def pytest_configure() -> None:
    """A run in the background (`&`, nohup) ignores signals, which what it starts would inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for which in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        if signal.getsignal(which) is signal.SIG_IGN:
            signal.signal(which, signal.SIG_DFL)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Fetch RabbitMQ 4.x before the workers start: once, in sight, and outside of any test."""
    if hasattr(session.config, "workerinput") or not _wants_rabbitmq4():
        return
    print("RabbitMQ 4.x is fetched if it is not here yet", file=sys.stderr, flush=True)
    fetched = _fetched()
    if fetched.returncode not in (0, CANNOT):
        pytest.exit(f"RabbitMQ 4.x was not fetched: {_why(fetched)}", 1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests were skipped, and why, as the last word of a run."""
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    terminalreporter.section(f"{skipped.total()} skipped")
    for reason, count in skipped.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return told.removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip without a reason is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not _reason(report).strip():
        report.outcome, report.longrepr = "failed", "skipped without a reason: say it"
    return report


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither a process nor a temporary file outlives the run."""
    kept, before = tmp_path_factory.getbasetemp(), os.environ.get("TMPDIR")
    temporary = Path(tempfile.mkdtemp(prefix="nm-bus-run-"))
    temporary.chmod(0o711)  # what is tried as another user must be able to pass
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    yield
    left = Ground(temporary, kept).left()
    shutil.rmtree(temporary)
    tempfile.tempdir = None
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before
    assert left == []


# --- brokers


@pytest.fixture(scope="session")
def program() -> Program:
    """The RabbitMQ that this session tests on."""
    if _wants_rabbitmq4():
        return _rabbitmq4()
    installed = Installed()
    if (missing := installed.missing()) and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return installed


def _wants_rabbitmq4() -> bool:
    return os.environ.get("NM_BUS_TEST_RABBITMQ") == "4"


def _rabbitmq4() -> Program:
    """RabbitMQ 4.x as it was fetched. Only what this machine cannot run is skipped."""
    fetched = _fetched()
    if fetched.returncode == CANNOT:
        pytest.skip(f"RabbitMQ 4.x cannot run here: {_why(fetched)}")
    if fetched.returncode != 0:
        pytest.fail(f"RabbitMQ 4.x was not fetched: {_why(fetched)}")
    return Unpacked(Path(fetched.stdout.strip()))


def _fetched() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FETCH)]
    return subprocess.run(command, capture_output=True, text=True, timeout=FETCH_LIMIT, check=False)


def _why(fetched: subprocess.CompletedProcess[str]) -> str:
    return fetched.stdout.strip() or fetched.stderr.strip()[-500:] or "no reason given"


@pytest.fixture(scope="session")
def fleet(program: Program) -> Iterator[Fleet]:
    """The session's brokers in a folder that goes away with them."""
    folder = Path(tempfile.mkdtemp(prefix="nm-bus-test-"))
    fleet = Fleet(folder, program, Authority.create(folder / "pki"))
    try:
        yield fleet
    finally:
        fleet.end()
        shutil.rmtree(folder)


@pytest.fixture
def broker(fleet: Fleet) -> Iterator[Sandbox]:
    """One shared broker, in a vhost of its own."""
    with_one = _sandboxes(fleet, 1)
    yield with_one[0]
    _close(fleet, with_one)


@pytest.fixture
def brokers(fleet: Fleet) -> Iterator[list[Sandbox]]:
    """Three shared brokers of one authority, in a vhost of the same name on each."""
    sandboxes = _sandboxes(fleet, 3)
    yield sandboxes
    _close(fleet, sandboxes)


def _sandboxes(fleet: Fleet, count: int) -> list[Sandbox]:
    vhost = f"nm.{PROJECT}-{secrets.token_hex(4)}"
    folder = fleet.folder / "pki"
    sandboxes = [Sandbox(one, fleet.authority, vhost, folder) for one in fleet.take(count)]
    for sandbox in sandboxes:
        sandbox.open()
    return sandboxes


def _close(fleet: Fleet, sandboxes: list[Sandbox]) -> None:
    for n, sandbox in enumerate(sandboxes):
        sandbox.close()
        fleet.running[n] = sandbox.broker
