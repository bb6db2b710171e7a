"""A supernode that lost its disk has the others' state again, over real links, page by page."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nm_agents.supernode.ledger.creation import begin_again
from nm_broker.program import Program
from nm_bus.client import Client
from nm_bus.errors import NmBusError
from nm_bus.messages import NodeId, Standing
from nm_bus.settings import AdministratorSettings, load
from nm_lab.federation.building import Federation, Plan, end
from nm_lab.federation.relay import Relays

from .until import until

pytestmark = pytest.mark.broker

SUPERNODES = tuple(f"sn{n}.catch.example" for n in range(1, 4))
DOCUMENTS, LETTERS = 40, 60_000
DOCUMENT = "config/catch/7"


@pytest.fixture
def federation(program: Program) -> Iterator[Federation]:
    folder = Path(tempfile.mkdtemp(prefix="nm-bus-catch-"))
    plan = Plan(folder, "catch", SUPERNODES, {}, program=program, delay=0.02)
    with Relays() as relays:
        federation = Federation(plan, relays=relays)
        try:
            federation.build()
            federation.start_brokers()
            for node in SUPERNODES:
                federation.start_supernode(node)
            yield federation
        finally:
            federation.stop()
            shutil.rmtree(folder)


def standing(settings: AdministratorSettings, node: NodeId) -> Standing:
    one = tuple(peer for peer in settings.supernodes if peer.node == node)
    with Client(msgspec.structs.replace(settings, supernodes=one), timeout=5.0) as client:
        return client.standing(node)


def fill(client: Client) -> None:
    """Documents that are hardly smaller when they are compressed."""
    chance = random.Random(1)
    for number in range(DOCUMENTS):
        content = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz \n", k=LETTERS))
        value = {"content": content, "encoding": "text"}
        client.propose("set", f"config/catch/{number}", value, timeout=30.0)


def test_a_supernode_without_its_disk_takes_a_snapshot_of_many_pages(
    federation: Federation,
) -> None:
    settings = load(federation.administrator, AdministratorSettings)
    first, _, lost = SUPERNODES
    until(lambda: _word(settings, first) == "running", "the others confirm its file")
    with Client(settings, timeout=30.0) as client:
        fill(client)
    end([federation.supernode(lost)])
    begin_again(federation.settings[lost])
    federation.start_supernode(lost)
    until(lambda: _place(settings, lost) == _place(settings, first), "it has the same head")
    assert not list(federation.settings[lost].folder.glob(".*.pages"))
    until(lambda: _past(settings, lost) == _past(settings, first), "it has the same past")
    assert _past(settings, lost)[0] == 1, "nothing is missing"


def _past(settings: AdministratorSettings, node: NodeId) -> tuple[object, ...]:
    """From which revision on one supernode has all, and what it says of the past."""
    one = tuple(peer for peer in settings.supernodes if peer.node == node)
    try:
        with Client(msgspec.structs.replace(settings, supernodes=one), timeout=5.0) as client:
            updates = list(client.updates_of())
            return client.past_from, updates, client.revision(2), list(client.history(DOCUMENT))
    except NmBusError as error:
        return node, error


def _word(settings: AdministratorSettings, node: NodeId) -> str:
    try:
        return standing(settings, node).state
    except NmBusError as error:
        return str(error)


def _place(settings: AdministratorSettings, node: NodeId) -> tuple[object, ...]:
    try:
        found = standing(settings, node)
    except NmBusError as error:
        return node, error
    return found.epoch, found.revision, found.head
