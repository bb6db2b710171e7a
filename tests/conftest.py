"""Real brokers for tests, started once a session and shared; each test has a vhost of its own.

`NM_BUS_TEST_RABBITMQ=4` runs the same tests on RabbitMQ 4.x. Without RabbitMQ they are skipped at
home and fail in CI, so that nobody takes a green run for a tested one.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nm_broker.pki import Authority
from nm_broker.private import PrivateBroker, RunningBroker
from nm_broker.program import Installed, Program, Unpacked
from nm_broker.testing.sandbox import Sandbox

PROJECT = "test"
UNPACK_LIMIT = 600


@dataclass
class Fleet:
    """The session's brokers, each started when the first test needs it."""

    folder: Path
    program: Program
    authority: Authority
    running: list[RunningBroker] = field(default_factory=list)

    def take(self, count: int) -> list[RunningBroker]:
        """The first `count` brokers; those that do not run yet are started side by side."""
        missing = [self.planned(n) for n in range(len(self.running), count)]
        with ThreadPoolExecutor() as several:
            starts = [several.submit(broker.start) for broker in missing]
        self.running += [start.result() for start in starts]
        return self.running[:count]

    def planned(self, n: int) -> PrivateBroker:
        name = f"sn{n + 1}.example.org"
        tls = self.authority.issue(name, self.folder / "pki")
        return PrivateBroker.placed(self.folder / f"sn{n + 1}", name, PROJECT, tls, self.program)

    def end(self) -> None:
        """Nothing of theirs is kept: a clean stop would only take longer."""
        for broker in self.running:
            broker.kill()


@pytest.fixture(scope="session")
def program() -> Program:
    """The RabbitMQ that this session tests on."""
    if os.environ.get("NM_BUS_TEST_RABBITMQ") == "4":
        return _rabbitmq4()
    installed = Installed()
    if (missing := installed.missing()) and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return installed


def _rabbitmq4() -> Program:
    """RabbitMQ 4.x, fetched when it is not there; its absence skips, even in CI."""
    fetch = Path(__file__).parent / "brokers" / "fetch4.py"
    fetched = subprocess.run(
        [sys.executable, str(fetch)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=UNPACK_LIMIT,
        check=False,
    )
    said = fetched.stdout.strip()
    if fetched.returncode != 0:
        pytest.skip(f"RabbitMQ 4.x cannot be had here: {said}")
    return Unpacked(Path(said))


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
