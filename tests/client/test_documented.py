"""The Python that the documents show runs as it stands, on a project in memory."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nm_bus.client import Snapshot
from nm_bus.messages import Update
from nm_bus.testing.carrier import connect
from nm_bus.testing.project import FakeProject

from .conftest import ADMIN

COMPONENTS = Path(__file__).parents[2] / "docs" / "components.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", COMPONENTS.read_text("utf-8"), re.M | re.S)


class EnoughError(Exception):
    """What is followed has no end."""


@pytest.mark.parametrize("block", BLOCKS)
def test_what_components_are_shown_runs_as_it_stands(
    block: str, project: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []

    def show(*values: Any) -> None:
        shown.extend(values)
        if isinstance(values[0], Update | Snapshot):
            raise EnoughError

    def reindex(token: int) -> None:
        shown.append(token)

    async def reindex_later(token: int) -> None:
        shown.append(token)

    monkeypatch.setattr("nm_bus.client.ledger.load", lambda *_: project.settings)
    monkeypatch.setattr("nm_bus.client.ledger._connect", connect(project.supernodes, ADMIN))
    project.client(ADMIN).put("thredds", "before.txt", "x")
    known: dict[str, Any] = {
        "print": show,
        "reindex": reindex,
        "reindex_later": reindex_later,
    }
    with suppress(EnoughError):
        exec(block, known)
    assert shown or "print" not in block
