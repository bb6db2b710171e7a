"""A project of three supernodes in memory, and clients of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nm_bus.client import Client
from nm_bus.settings import AdministratorSettings
from nm_bus.testing.project import SUPERNODES, FakeProject
from nm_bus.testing.supernodes import FakeSupernodes

NODES = SUPERNODES
ADMIN = "admin.example"


@pytest.fixture
def project() -> FakeProject:
    return FakeProject(administrators=[ADMIN])


@pytest.fixture
def supernodes(project: FakeProject) -> FakeSupernodes:
    return project.supernodes


@pytest.fixture
def settings(project: FakeProject) -> AdministratorSettings:
    return project.settings


@pytest.fixture
def client_of(project: FakeProject) -> Iterator[Callable[..., Client]]:
    with ExitStack() as stack:

        def made(user: str = ADMIN, **more: Any) -> Client:
            return stack.enter_context(project.client(user, **more))

        yield made


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    return client_of(timeout=2.0)
