"""Commands run against supernodes that answer from memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nm_agents.cli.app import app
from nm_bus.messages import Change, Proposed
from nm_bus.testing.carrier import connect
from nm_bus.testing.project import FakeProject
from nm_bus.testing.supernodes import FakeSupernodes

from ..config.conftest import ADMIN, NODES, certificates, settings

__all__ = ["ADMIN", "NODES", "Asking", "Run", "certificates", "settings"]

Run = Callable[..., Any]


class Asking:
    """Somebody who proposes to all supernodes, past the command line."""

    def __init__(self, federation: FakeSupernodes) -> None:
        self._federation, self._count = federation, 0

    def __call__(self, kind: str, key: str, value: Any = None, actor: str = ADMIN) -> Proposed:
        self._count += 1
        change = Change(f"{actor}/other/{self._count}", actor, kind, key, value=value)
        answer = self._federation.propose(change)
        assert answer.state == "agreed", answer
        return answer


@pytest.fixture
def federation() -> FakeSupernodes:
    return FakeProject(
        nodes=NODES, administrators=[ADMIN], publishers={"pub": ["search"]}
    ).supernodes


@pytest.fixture
def ask(federation: FakeSupernodes) -> Asking:
    return Asking(federation)


@pytest.fixture
def run(federation: FakeSupernodes, settings: Path) -> Run:
    """Run `nm-bus ...` against the fake."""

    def run_it(*words: str, **more: Any) -> Any:
        runner = CliRunner(env={"NM_BUS_CONFIG": str(settings), "TERM": "dumb"})
        return runner.invoke(app, words, obj=connect(federation, ADMIN), **more)

    return run_it
