"""Locks and elections: one holder at a time, with tokens that grow, and losses that are told."""

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from nm_bus.client import Client
from nm_bus.client import locks as locking
from nm_bus.errors import ConflictError, LockLostError
from nm_bus.messages import Change, Entry
from nm_bus.settings import AdministratorSettings
from nm_bus.testing.carrier import FakeCarrier
from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import ADMIN

Made = Callable[..., Client]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One who waits looks often."""
    monkeypatch.setattr(locking, "LOOK", 0.02)
    monkeypatch.setattr("nm_bus.client.ledger.LOOK", 0.02)


def expire(supernodes: FakeSupernodes) -> None:
    """A supernode ends every session, as if its owner had been silent."""
    node = supernodes.nodes[0]
    for session in list(supernodes[0].state.under("session/")):
        number = len(supernodes.decided) + 1
        generation = {"generation": session.value["generation"]}
        change = Change(f"{node}/x/{number}", node, "expire", session.key, value=generation)
        assert supernodes.propose(change).state == "agreed"


def entries(supernodes: FakeSupernodes, prefix: str) -> list[Entry]:
    return list(supernodes[0].state.under(prefix))


def test_a_lock_is_held_by_one_at_a_time_and_its_token_grows(
    client_of: Made, supernodes: FakeSupernodes
) -> None:
    first, second = client_of(timeout=2.0), client_of(timeout=2.0)
    with first.lock("index") as held:
        assert entries(supernodes, "lock/")[0].value["token"] == held.token
        holder = rf"^index is held by {ADMIN} since 1970-01-01 .*Z, token {held.token}$"
        with pytest.raises(ConflictError, match=holder), second.lock("index", wait=0):
            raise AssertionError("it was granted twice")
    with second.lock("index") as again:
        assert again.token > held.token
    assert not entries(supernodes, "lock/") + entries(supernodes, "session/")


def test_one_who_waits_is_granted_the_lock_once_it_is_free(client_of: Made) -> None:
    first, second = client_of(timeout=2.0), client_of(timeout=2.0)
    tokens: list[int] = []

    def wait() -> None:
        with second.lock("index") as held:
            tokens.append(held.token)

    with ExitStack() as holding:
        holding.enter_context(first.lock("index"))
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.2)
        assert not tokens
    waiting.join(30.0)
    assert len(tokens) == 1


def held_until(client: Client, harm: Callable[[], None], error: type[Exception]) -> None:
    """Hold a lock until it is lost by some harm; then the body ends so."""
    with client.lock("index", ttl=0.3) as held:
        held.check()
        harm()
        assert held.lost.wait(30.0)
        if error is not LockLostError:
            raise error


def test_a_lock_that_was_lost_is_said_so(client: Client, supernodes: FakeSupernodes) -> None:
    with pytest.raises(LockLostError, match="received nothing of its owner"):
        held_until(client, lambda: expire(supernodes), LockLostError)


def test_who_reaches_no_supernode_gives_the_lock_up_within_its_time_to_live(
    client: Client, supernodes: FakeSupernodes
) -> None:
    def kill() -> None:
        for node in supernodes.nodes:
            supernodes.by_node[node].kill()

    with pytest.raises(LockLostError, match="no supernode confirmed it in time"):
        held_until(client, kill, LockLostError)


def test_an_error_of_the_body_is_not_hidden_by_the_loss(
    client: Client, supernodes: FakeSupernodes
) -> None:
    with pytest.raises(ZeroDivisionError):
        held_until(client, lambda: expire(supernodes), ZeroDivisionError)


def terms(client: Client, ended: threading.Event, told: list[int]) -> Generator[None, None, None]:
    """One of a pair of components: notes the token of each of its terms."""
    for term in client.elect("index", ttl=0.5, until=ended.is_set):
        told.append(term.token)
        yield
        if ended.is_set():
            return


def test_the_standby_is_elected_when_the_active_one_is_gone(
    client_of: Made, supernodes: FakeSupernodes
) -> None:
    ended, active, standby = threading.Event(), list[int](), list[int]()
    first = terms(client_of(timeout=2.0), ended, active)
    next(first)
    elected = threading.Event()

    def stand() -> None:
        for _ in terms(client_of(timeout=2.0), ended, standby):
            elected.set()
            ended.wait(30.0)

    waiting = threading.Thread(target=stand)
    waiting.start()
    assert not elected.wait(0.2)
    expire(supernodes)
    assert elected.wait(30.0)
    ended.set()
    waiting.join(30.0)
    first.close()
    assert standby[0] > active[0]


def test_a_session_has_a_connection_of_its_own(client_of: Made, supernodes: FakeSupernodes) -> None:
    made: list[FakeCarrier] = []

    def counted(_settings: AdministratorSettings) -> FakeCarrier:
        made.append(FakeCarrier(supernodes, ADMIN))
        return made[-1]

    with client_of(connect=counted).lock("index"):
        assert len(made) == 2
