"""Following queues at all supernodes at once, in one thread."""

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import cast

from nm_bus.client import Client, Contact, Quiet
from nm_bus.client.carrier import FollowedItem, Received, SupernodeLine
from nm_bus.client.following import QueueFollowing
from nm_bus.messages import Answer, Message, Tail
from nm_bus.settings import Broker, Peer, Timing, timing
from nm_bus.testing.supernodes import FakeSupernodes
from nm_bus.topology import UPDATES

from .conftest import NODES


def take_until(
    following: QueueFollowing, holds: Callable[[list[FollowedItem]], object]
) -> list[FollowedItem]:
    taken: list[FollowedItem] = []
    while not holds(taken):
        taken.append(next(following))
    return taken


def heard(items: list[FollowedItem]) -> dict[str, str]:
    """The last that was said of each supernode."""
    return {item.supernode: item.reason for item in items if isinstance(item, Contact)}


def test_all_supernodes_are_followed_and_each_is_said_once(client: Client) -> None:
    with client.tail(UPDATES) as following:
        taken = take_until(following, lambda items: len(heard(items)) == len(NODES))
        assert [item.reason for item in taken if isinstance(item, Contact)] == ["", "", ""]
        assert isinstance(next(following), Quiet)
        client.put("dash", "a.txt", "x")
        received = [item for item in islice(following, 3) if isinstance(item, Received)]
        assert {item.supernode for item in received} == set(NODES)


def test_one_that_is_lost_is_said_with_the_reason_and_followed_again(
    client: Client, supernodes: FakeSupernodes
) -> None:
    with client.tail(UPDATES) as following:
        take_until(following, lambda items: len(heard(items)) == len(NODES))
        supernodes[0].kill()
        lost = take_until(following, lambda items: heard(items).get(NODES[0]))
        assert heard(lost) == {NODES[0]: f"the connection to {NODES[0]} broke"}
        supernodes.heal(NODES[0])
        take_until(following, lambda items: heard(items).get(NODES[0]) == "")


def test_the_same_reason_is_said_once(client: Client, supernodes: FakeSupernodes) -> None:
    supernodes[0].kill()
    with client.tail(UPDATES) as following:
        taken = take_until(following, lambda items: sum(isinstance(i, Quiet) for i in items) == 2)
    reasons = [item.reason for item in taken if isinstance(item, Contact) and item.reason]
    assert reasons == [f"{NODES[0]} refuses connections"]


def test_a_refusal_is_said_as_the_supernode_does(
    client: Client, supernodes: FakeSupernodes
) -> None:
    for node in NODES:
        supernodes.by_node[node].tails = False
    with client.tail(UPDATES) as following:
        taken = take_until(following, lambda items: len(heard(items)) == len(NODES))
    assert heard(taken)[NODES[0]] == f"{NODES[0]}: you have too many tail queues"


def test_it_needs_no_thread_once_it_is_connected(client: Client) -> None:
    before = threading.active_count()
    with client.tail(UPDATES) as first, client.tail(UPDATES) as second, client.alerts() as alerts:
        for following in (first, second):
            take_until(following, lambda items: len(heard(items)) == len(NODES))
        list(islice(alerts, len(NODES)))
        assert threading.active_count() == before


def test_a_connection_that_comes_too_late_is_closed(
    client: Client, supernodes: FakeSupernodes
) -> None:
    may_open, opened = threading.Event(), threading.Event()
    true_line = client._carrier.line

    def slow(peer: Peer) -> AbstractContextManager[SupernodeLine]:
        may_open.wait(30)
        opened.set()
        return true_line(peer)

    peers, times = client.settings.supernodes[:1], timing(client.settings)
    following = QueueFollowing(peers, slow, Tail(UPDATES), times)
    assert following.step(0.0) is None
    following.close()
    may_open.set()
    assert opened.wait(30)
    for thread in threading.enumerate():
        if thread.name.startswith("connect to"):
            thread.join(30)
    assert supernodes[0].woken == []


class OpenLine:
    """A line to a supernode whose socket has a number that the test gives."""

    supernode = "sn1"

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number

    def ask(self, _message: Message, _request: str, _timeout: float) -> Answer:
        return Answer("r", ok=True, data={"queue": "q"})

    def wait(self, _done: Callable[[], bool], _timeout: float) -> None: ...

    @contextmanager
    def reading(self, _queue: str, _came: object, _prefetch: int) -> Iterator[None]:
        yield


def over(number: int, opened: list[int]) -> QueueFollowing:
    @contextmanager
    def lines(_peer: Peer) -> Iterator[SupernodeLine]:
        opened.append(number)
        yield cast(SupernodeLine, OpenLine(number))

    return QueueFollowing([Peer("sn1", Broker("h"))], lines, Tail("updates"), Timing())


def test_a_program_may_have_thousands_of_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    one, two = socket.socketpair()
    number = 2000
    os.dup2(one.fileno(), number)
    following = over(number, [])
    try:
        assert isinstance(next(following), Contact)
        assert following.step(0.2) is None
    finally:
        following.close()
        os.close(number)
        one.close()
        two.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_once_it_is_closed_nothing_is_opened_again() -> None:
    opened: list[int] = []
    following = over(0, opened)
    following.step(0.2)
    following.close()
    before = len(opened)
    following.step(0.2)
    assert len(opened) == before
