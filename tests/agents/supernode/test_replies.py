"""Nobody's answers fill the supernode's memory, or keep another one's waiting."""

from dataclasses import dataclass, field
from functools import partial

import pytest

from nm_agents.supernode.requests import MOST_OF_ONE, UNDER_WAY, Replies
from nm_bus.testing.clock import VirtualClock
from nm_bus.transport.base import Outcome, Outgoing, Published
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker

PAGE = 512 * 1024


@dataclass
class Held:
    """A transport whose broker confirms when the test says so."""

    sent: list[tuple[str, Published]] = field(default_factory=list)

    def publish(self, message: Outgoing, done: Published) -> None:
        self.sent.append((message.key, done))

    def confirm(self, outcome: Outcome = Outcome.CONFIRMED) -> None:
        _, done = self.sent.pop(0)
        done(outcome)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def replies(held: Held) -> Replies:
    clock = VirtualClock()
    transport = MemoryTransport(MemoryBroker(clock, "sn1"), clock, user="sn1", random=lambda: 0.5)
    transport.publish = held.publish  # type: ignore[method-assign,assignment]
    return Replies(transport)


def answer(who: str, size: int = PAGE) -> Outgoing:
    return Outgoing("", who, b"x" * size)


def test_only_so_many_bytes_are_under_way_whoever_asks(held: Held, replies: Replies) -> None:
    made: list[str] = []

    def make() -> Outgoing:
        made.append("page")
        return answer("greedy")

    for _ in range(200):
        assert replies.give("greedy", make)
    assert len(held.sent) == len(made) == UNDER_WAY // PAGE
    held.confirm()
    assert len(made) == UNDER_WAY // PAGE + 1


def test_another_one_waits_for_one_answer_and_not_for_hundreds(
    held: Held, replies: Replies
) -> None:
    for _ in range(200):
        replies.give("greedy", partial(answer, "greedy"))
    replies.give("modest", partial(answer, "modest", 10))
    for _ in range(2):
        held.confirm()
    assert "modest" in [who for who, _ in held.sent]


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.TIMED_OUT, Outcome.REFUSED])
def test_what_is_lost_holds_up_nothing(held: Held, replies: Replies, outcome: Outcome) -> None:
    for _ in range(20):
        replies.give("one", partial(answer, "one"))
    for _ in range(20):
        held.confirm(outcome)
    replies.give("one", partial(answer, "one"))
    assert len(held.sent) == 1


def test_more_than_may_wait_is_refused_and_takes_nothing_from_another(replies: Replies) -> None:
    taken = [replies.give("greedy", partial(answer, "greedy")) for _ in range(1000)]
    assert taken.count(True) == MOST_OF_ONE + UNDER_WAY // PAGE
    assert replies.give("modest", partial(answer, "modest"))
