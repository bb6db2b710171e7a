"""A project whose supernodes answer from memory, and a way to run commands against it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nm_agents.cli.app import app
from nm_broker.pki import Authority
from nm_bus.client import Client
from nm_bus.testing.carrier import connect
from nm_bus.testing.project import FakeProject
from nm_bus.testing.supernodes import FakeSupernodes

NODES = ("sn1.example.org", "sn2.example.org", "sn3.example.org")
ADMIN, EVE = "admin.example", "eve.example"

Run = Callable[..., Any]


@pytest.fixture
def federation() -> FakeSupernodes:
    return FakeProject(nodes=NODES, administrators=[ADMIN, EVE]).supernodes


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    Authority.create(folder).issue(ADMIN, folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, certificates: Path) -> Path:
    """An administrator's settings file."""
    file = tmp_path / "admin.toml"
    pki = {"ca": "ca.crt", "certificate": f"{ADMIN}.crt", "key": f"{ADMIN}.key"}
    file.write_text(
        'project = "demo"\nfolder = "state"\ntiming = { retry_first = 0.01, retry_most = 0.02 }\n'
        + "".join(f'[[supernodes]]\nnode = "{n}"\nbroker = {{ host = "{n}" }}\n' for n in NODES)
        + "[tls]\n"
        + "".join(f'{name} = "{certificates / value}"\n' for name, value in pki.items())
    )
    return file


@pytest.fixture
def run(federation: FakeSupernodes, settings: Path) -> Run:
    """Run `nm-bus config ...` against the fake."""

    def run_it(*arguments: str | Path, **more: Any) -> Any:
        environment = {"NM_BUS_CONFIG": str(settings), "TERM": "dumb"}
        runner = CliRunner(env=environment)
        words = ["config", *(str(word) for word in arguments)]
        return runner.invoke(app, words, obj=connect(federation, ADMIN), **more)

    return run_it


@pytest.fixture
def eve(federation: FakeSupernodes, settings: Path) -> Client:
    """Somebody else who may change documents."""
    return Client(settings, connect=connect(federation, EVE))
