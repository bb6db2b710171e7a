"""A ledger's file in which nothing has happened yet."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nm_bus.storage.ledger import LedgerIdentity, SqliteLedger, create_ledger, open_ledger
from nm_bus.storage.position import Position

ME = LedgerIdentity("test", "sn1.example.org", "genesis", 1, "a" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_ledger(tmp_path / "ledger.db", ME, Position(height=0)).close()
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteLedger]:
    with closing(open_ledger(path)) as opened:
        yield opened
