"""Five supernodes on five real brokers agree, whatever is killed, stopped or cut off meanwhile.

`NM_BUS_LONG_SECONDS` says for how long, `NM_BUS_LONG_CHANGES` how many changes, `NM_BUS_LONG_SEED`
who is hurt in which order.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from nm_broker.program import Program
from nm_bus.client import Client
from nm_bus.core.ledger.chain import GENESIS, head_of
from nm_bus.errors import NmBusError
from nm_bus.messages import ChangeId, FollowedFeed, NodeId, Proposed, Running, Standing, Update
from nm_bus.settings import AdministratorSettings, load
from nm_lab.federation.building import Federation, Plan
from nm_lab.federation.relay import Relays

from .havoc import Havoc, until

pytestmark = [pytest.mark.broker, pytest.mark.long, pytest.mark.timeout(0)]

SECONDS = float(os.environ.get("NM_BUS_LONG_SECONDS", "180"))
CHANGES = int(os.environ.get("NM_BUS_LONG_CHANGES", "2000"))
SEED = int(os.environ.get("NM_BUS_LONG_SEED", "1"))

SUPERNODES = tuple(f"sn{n}.chaos.example" for n in range(1, 6))
MEMBERS = {f"n{n}.chaos.example": SUPERNODES[n % 5] for n in range(20)}
SETTLED = 180.0


@dataclass
class Author(threading.Thread):
    """Asks one supernode for changes, each until it is agreed; writes down what it was told."""

    settings: AdministratorSettings
    supernode: NodeId
    changes: int
    pause: float
    told: dict[ChangeId, Proposed] = field(default_factory=dict)
    again: int = 0

    def __post_init__(self) -> None:
        super().__init__(name=f"author at {self.supernode}", daemon=True)
        self.ended = threading.Event()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        one = tuple(peer for peer in self.settings.supernodes if peer.node == self.supernode)
        with Client(msgspec.structs.replace(self.settings, supernodes=one)) as client:
            life = self.supernode.replace(".", "-")
            for n in range(1, self.changes + 1):
                begun = time.monotonic()
                self._agree(client, f"{client.user}/{life}/{n}", n)
                if self.ended.wait(max(0.0, self.pause - (time.monotonic() - begun))):
                    return

    def _agree(self, client: Client, change: ChangeId, n: int) -> None:
        key = f"config/chaos/{self.supernode}-{n % 50}"
        value = {"content": f"{n} by {self.supernode}", "encoding": "text"}
        while not self.ended.is_set():
            try:
                self.told[change] = client.propose(
                    "set", key, value, id=change, base=0, timeout=10.0
                )
                return
            except NmBusError:
                self.again += 1
                self.ended.wait(0.5)


@pytest.fixture
def federation(program: Program) -> Iterator[Federation]:
    folder = Path(tempfile.mkdtemp(prefix="nm-bus-chaos-"))
    more = {
        node: {"documents": [{"component": "chaos", "folder": str(folder / "documents" / node)}]}
        for node in MEMBERS
    }
    plan = Plan(folder, "chaos", SUPERNODES, MEMBERS, more=more, program=program)
    with Relays() as relays:
        federation = Federation(plan, relays=relays)
        try:
            federation.build()
            federation.start_brokers()
            for node in SUPERNODES:
                federation.start_supernode(node)
            for node in MEMBERS:
                federation.start_member(node)
            yield federation
        finally:
            for running in federation.running.values():
                running.resume()
            federation.stop()
            shutil.rmtree(folder)


def standings(settings: AdministratorSettings) -> dict[NodeId, Standing]:
    with Client(settings, timeout=10.0) as client:
        return {node: client.standing(node) for node in SUPERNODES}


def feed_of_all(settings: AdministratorSettings) -> FollowedFeed:
    with Client(settings, timeout=20.0) as client:
        place = client.place("config/chaos")
    return FollowedFeed(place.feed, place.epoch, place.number, place.head)


def running_at_members(settings: AdministratorSettings) -> dict[NodeId, Running | None]:
    with Client(settings, timeout=20.0) as client:
        return {member.state.node: member.state.running for member in client.status().members}


def apart(settings: AdministratorSettings) -> str:
    """Who is not where the others are; empty when all supernodes and members are."""
    try:
        at = {(s.epoch, s.revision, s.head) for s in standings(settings).values()}
        if len(at) != 1:
            return f"supernodes stand at {sorted(at)}"
        feed, members = feed_of_all(settings), running_at_members(settings)
    except NmBusError as error:
        return str(error)
    behind = [node for node in MEMBERS if (r := members.get(node)) is None or r.feeds != (feed,)]
    return f"{len(behind)} members are elsewhere, such as {behind[0]}" if behind else ""


def updates_at(settings: AdministratorSettings, node: NodeId) -> list[Update]:
    one = tuple(peer for peer in settings.supernodes if peer.node == node)
    with Client(msgspec.structs.replace(settings, supernodes=one)) as client:
        return list(client.updates_of())


def check_chain(updates: list[Update]) -> None:
    """Revisions 1..R, each bound to the one before it."""
    assert [u.revision for u in updates] == list(range(1, len(updates) + 1))
    assert updates[0].previous == GENESIS or updates[0].revision == 1
    for update in updates:
        assert update.head == head_of(update)
    for before, after in pairwise(updates):
        assert after.previous == before.head


def test_nothing_agreed_is_lost_and_all_say_the_same(federation: Federation) -> None:
    settings = load(federation.administrator, AdministratorSettings)
    until(lambda: apart(settings), SETTLED)
    each = CHANGES // len(SUPERNODES)
    authors = [Author(settings, node, each, SECONDS / each) for node in SUPERNODES]
    havoc = Havoc(federation, SEED)
    begun = time.monotonic()
    for author in authors:
        author.start()
    havoc.start()
    limit = 4 * SECONDS + SETTLED
    while any(author.is_alive() for author in authors) and time.monotonic() - begun < limit:
        time.sleep(1.0)
    havoc.end()
    for author in authors:
        author.join(SETTLED)
        author.ended.set()
    told = {change: answer for author in authors for change, answer in author.told.items()}
    assert len(told) == each * len(SUPERNODES), "not every change was agreed in time"

    until(lambda: apart(settings), SETTLED)
    logs = {node: updates_at(settings, node) for node in SUPERNODES}
    first = logs[SUPERNODES[0]]
    check_chain(first)
    assert all(log == first for log in logs.values())
    by_change = {update.change.id: update.revision for update in first}
    assert {change: by_change.get(change) for change in told} == {
        change: answer.revision for change, answer in told.items()
    }
    assert len(by_change) == len(first), "a change was applied twice"
    check_answers(settings, told)
    print(
        f"\n{len(told)} changes agreed in {time.monotonic() - begun:.0f} s, asked again"
        f" {sum(a.again for a in authors)} times, through {len(havoc.done)} troubles;"
        f" {len(first)} revisions with equal heads at {len(logs)} supernodes and"
        f" {len(MEMBERS)} members"
    )


def check_answers(settings: AdministratorSettings, told: dict[ChangeId, Proposed]) -> None:
    """Every supernode gives the answer that was given, as far as answers are kept."""
    for node in SUPERNODES:
        one = tuple(peer for peer in settings.supernodes if peer.node == node)
        with Client(msgspec.structs.replace(settings, supernodes=one)) as client:
            for change, answer in list(told.items())[::20]:
                known = client.outcome(change)
                assert known is not None, f"{node} does not know {change}"
                assert (known.state, known.revision) == (answer.state, answer.revision)
