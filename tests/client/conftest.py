"""A project of three supernodes in memory, and clients of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nm_bus.client import Client
from nm_bus.core.ledger.state import State
from nm_bus.messages import Entry
from nm_bus.settings import LOCAL, AdministratorSettings, Broker, Peer, Tls
from nm_bus.testing.supernodes import FakeSupernodes

NODES = ("sn1.example.org", "sn2.example.org", "sn3.example.org")
ADMIN = "admin.example"

QUICK = type(LOCAL)(connect=0.2, retry_first=0.01, retry_most=0.02)


@pytest.fixture
def supernodes() -> FakeSupernodes:
    voter = {"role": "voter", "incarnation": "genesis"}
    entries = [
        Entry(f"role/{ADMIN}", {"administrator": True}, 0, "genesis"),
        *(Entry(f"supernode/{node}", voter, 0, "genesis") for node in NODES),
    ]
    state = State("demo", epoch=1, revision=0, head="ab" * 32, entries=entries)
    return FakeSupernodes(state.snapshot(), NODES, ADMIN)


@pytest.fixture
def settings() -> AdministratorSettings:
    nowhere = Path("none.pem")
    peers = tuple(Peer(node, Broker(node)) for node in NODES)
    return AdministratorSettings("demo", peers, Tls(nowhere, nowhere, nowhere), timing=QUICK)


@pytest.fixture
def client_of(
    supernodes: FakeSupernodes, settings: AdministratorSettings
) -> Iterator[Callable[..., Client]]:
    with ExitStack() as stack:

        def made(**more: Any) -> Client:
            return stack.enter_context(
                Client(
                    settings,
                    bus=supernodes,
                    lines=supernodes.line,
                    signed=lambda change: (change, ""),
                    **more,
                )
            )

        yield made


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    return client_of(timeout=2.0)
