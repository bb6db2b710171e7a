"""A project whose supernodes answer from memory, and a way to run commands against it."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from nm_agents.cli.app import app
from nm_broker.pki import Authority
from nm_bus.client import Client
from nm_bus.core.ledger.state import State
from nm_bus.messages import Answer, Entry, MemberView, Message, NodeId, Overview, Query
from nm_bus.settings import AdministratorSettings, load
from nm_bus.testing.supernodes import FakeSupernodes

NODES = ("sn1.example.org", "sn2.example.org", "sn3.example.org")
ADMIN, EVE = "admin.example", "eve.example"

Run = Callable[..., Any]


class Federation(FakeSupernodes):
    """Supernodes that also tell of members."""

    members: tuple[MemberView, ...] = ()

    def request(self, message: Message, timeout: float, supernode: NodeId | None = None) -> Answer:
        if isinstance(message, Query):
            page = Overview(NODES[0], 0.0, 0, 1, self.members, (), (), ())
            return Answer("", True, data=msgspec.to_builtins(page))
        return super().request(message, timeout, supernode)


@pytest.fixture
def federation() -> Federation:
    voter = {"role": "voter", "incarnation": "genesis"}
    entries = [Entry(f"role/{who}", {"administrator": True}, 0, "genesis") for who in (ADMIN, EVE)]
    entries += [Entry(f"supernode/{node}", voter, 0, "genesis") for node in NODES]
    state = State("demo", epoch=1, revision=0, head="ab" * 32, entries=entries)
    return Federation(state.snapshot(), NODES, ADMIN)


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
def run(federation: Federation, settings: Path) -> Run:
    """Run `nm-bus config ...` against the fake."""

    def run_it(*arguments: str | Path, **more: Any) -> Any:
        environment = {"NM_BUS_CONFIG": str(settings), "TERM": "dumb"}
        runner = CliRunner(env=environment)
        words = ["config", *(str(word) for word in arguments)]
        return runner.invoke(app, words, obj=lambda _settings: nullcontext(federation), **more)

    return run_it


@pytest.fixture
def eve(federation: Federation, settings: Path) -> Client:
    """Somebody else who may change documents."""
    other = Federation.__new__(Federation)
    other.__dict__ = dict(federation.__dict__) | {"user": EVE}
    return Client(
        load(settings, AdministratorSettings), bus=other, signed=lambda change: (change, "")
    )
