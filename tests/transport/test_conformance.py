"""What `Transport` promises, held by memory and by RabbitMQ alike."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nm_bus.identity.role import Role
from nm_bus.messages import domain_key
from nm_bus.topology import Binding, Exchange, Queue, Sizes, Topology, inbox_queue, inbox_topology
from nm_bus.transport.base import Delivery, Flow, Outcome, Outgoing, Status, Transport
from tests.transport.conftest import World

SUPERNODE, MEMBER, OTHER = "sn9.example.org", "m1.example.org", "m2.example.org"
BASIC = Topology(
    (Exchange("heartbeat"), Exchange("requests.member"), Exchange("dead")),
    (Queue("heartbeats"), Queue("requests"), Queue("dead")),
    (
        Binding("heartbeat", "heartbeats"),
        Binding("requests.member", "requests"),
        Binding("dead", "dead"),
    ),
)
BEAT = Outgoing("heartbeat", domain_key(MEMBER), b"beat")

Up = Callable[[Transport], Transport]


class Reader:
    """Reads a queue and keeps what came; acknowledges unless told not to."""

    def __init__(self, world: World, transport: Transport, queue: str, **how: Any) -> None:
        self.got: list[Delivery] = []
        self.acknowledge = how.pop("acknowledge", True)
        self._world, self._transport = world, transport
        world.do(transport, partial(transport.consume, queue, self._take, **how))

    def _take(self, delivery: Delivery) -> None:
        self.got.append(delivery)
        if self.acknowledge:
            self._transport.ack(delivery)

    def bodies(self) -> list[bytes]:
        return [delivery.body for delivery in self.got]

    def wait(self, count: int) -> list[Delivery]:
        self._world.until(lambda: len(self.got) >= count)
        return self.got


@pytest.fixture
def supernode(world: World, up: Up) -> Transport:
    world.declare(BASIC)
    return up(world.join(Role.SUPERNODE, SUPERNODE))


@pytest.fixture
def member(world: World, up: Up, supernode: Transport) -> Transport:
    return up(world.join(Role.MEMBER, MEMBER))


def send(world: World, transport: Transport, *messages: Outgoing) -> list[Outcome]:
    """Publish and wait for all outcomes."""
    told: list[Outcome] = []

    def publish() -> None:
        for message in messages:
            transport.publish(message, told.append)
        assert len(told) == 0, "an outcome came before publish returned"

    world.do(transport, publish)
    world.until(lambda: len(told) == len(messages))
    return told


def declare(world: World, transport: Transport, topology: Topology, **how: Any) -> Outcome:
    told: list[Outcome] = []
    world.do(transport, partial(transport.declare, topology, told.append, **how))
    world.until(lambda: bool(told))
    return told[0]


def ask(world: World, transport: Transport, message: Outgoing, timeout: float) -> Delivery | None:
    answers: list[Delivery | None] = []
    world.do(transport, partial(transport.request, message, answers.append, timeout=timeout))
    world.until(lambda: bool(answers))
    return answers[0]


# --- publishing and routing


def test_a_message_comes_as_it_was_sent_with_the_brokers_word_on_its_sender(
    world: World, supernode: Transport, member: Transport
) -> None:
    reader = Reader(world, supernode, "heartbeats")
    sent = Outgoing("heartbeat", domain_key(MEMBER), b"\x00beat", headers={"n": 1})
    assert send(world, member, sent) == [Outcome.CONFIRMED]
    (came,) = reader.wait(1)
    assert (came.body, came.exchange, came.key) == (sent.body, sent.exchange, sent.key)
    assert (came.user_id, came.queue, came.redelivered) == (MEMBER, "heartbeats", False)
    assert came.headers == {"n": 1}


def test_messages_come_in_the_order_in_which_they_were_sent(
    world: World, supernode: Transport
) -> None:
    reader = Reader(world, supernode, "heartbeats", prefetch=7)
    bodies = [b"%d" % n for n in range(500)]
    sent = [Outgoing("heartbeat", "a.b", body) for body in bodies]
    assert set(send(world, supernode, *sent)) == {Outcome.CONFIRMED}
    reader.wait(500)
    assert reader.bodies() == bodies


@pytest.mark.parametrize(
    ("pattern", "key", "arrives"),
    [
        ("gov.llnl.#", "gov.llnl.n1", True),
        ("gov.llnl.#", "gov.llnl", True),
        ("gov.llnl.#", "gov.anl.n1", False),
        ("critical.*.gov.#", "critical.down.gov.llnl.n1", True),
        ("critical.*.gov.#", "critical.gov.llnl", False),
        ("#.n1", "gov.llnl.n1", True),
        ("*", "a.b", False),
        ("#", "", True),
    ],
)
def test_topics_match_word_by_word(
    world: World, supernode: Transport, pattern: str, key: str, arrives: bool
) -> None:
    world.declare(Topology((), (Queue("some"),), (Binding("heartbeat", "some", pattern),)))
    reader, every = Reader(world, supernode, "some"), Reader(world, supernode, "heartbeats")
    send(world, supernode, Outgoing("heartbeat", key, b"x"), Outgoing("", "some", b"last"))
    every.wait(1)
    world.until(lambda: b"last" in reader.bodies())
    assert (b"x" in reader.bodies()) == arrives


def test_two_streams_of_a_member_meet_in_the_same_partition(
    world: World, supernode: Transport
) -> None:
    streams, n = ("one", "two"), 3
    world.declare(
        Topology(
            tuple(
                Exchange(name, kind)
                for stream in streams
                for name, kind in ((stream, "topic"), (f"{stream}.hash", "x-consistent-hash"))
            ),
            tuple(Queue(f"{stream}.{i}") for stream in streams for i in range(n)),
            tuple(Binding(stream, f"{stream}.hash", to_exchange=True) for stream in streams)
            + tuple(
                Binding(f"{stream}.hash", f"{stream}.{i}", "10")
                for i in range(n)
                for stream in streams
            ),
        )
    )
    readers = {
        f"{stream}.{i}": Reader(world, supernode, f"{stream}.{i}")
        for stream in streams
        for i in range(n)
    }
    keys = [f"org.example.m{k}" for k in range(60)]
    send(world, supernode, *(Outgoing(stream, key, b"") for key in keys for stream in streams))
    world.until(lambda: sum(len(reader.got) for reader in readers.values()) == 120)
    parts = [
        [{d.key for d in readers[f"{stream}.{i}"].got} for i in range(n)] for stream in streams
    ]
    assert parts[0] == parts[1]
    assert all(parts[0])


# --- what limits throw away


def limited(**arguments: Any) -> Topology:
    dead = {"x-dead-letter-exchange": "dead", "x-dead-letter-routing-key": "thrown.small"}
    return Topology((), (Queue("small", arguments={**arguments, **dead}),))


@pytest.mark.parametrize("expiration", [None, 0.05])
def test_what_is_too_old_is_dead_lettered_as_expired(
    world: World, supernode: Transport, expiration: float | None
) -> None:
    world.declare(limited(**({} if expiration else {"x-message-ttl": 50})))
    dead = Reader(world, supernode, "dead")
    send(world, supernode, Outgoing("", "small", b"old", expiration=expiration))
    (letter,) = dead.wait(1)
    assert (letter.body, letter.key, letter.user_id) == (b"old", "thrown.small", SUPERNODE)
    assert letter.headers is not None
    assert letter.headers["x-first-death-reason"] == "expired"
    assert letter.headers["x-death"][0]["queue"] == "small"


def test_a_full_queue_drops_its_oldest_and_says_so(world: World, supernode: Transport) -> None:
    world.declare(limited(**{"x-max-length": 2, "x-overflow": "drop-head"}))
    dead = Reader(world, supernode, "dead")
    send(world, supernode, *(Outgoing("", "small", b"%d" % n) for n in range(5)))
    dead.wait(3)
    kept = Reader(world, supernode, "small")
    kept.wait(2)
    assert (dead.bodies(), kept.bodies()) == ([b"0", b"1", b"2"], [b"3", b"4"])
    assert {(d.headers or {})["x-first-death-reason"] for d in dead.got} == {"maxlen"}


def test_a_full_queue_that_refuses_says_so_to_the_publisher(
    world: World, supernode: Transport
) -> None:
    world.declare(limited(**{"x-max-length": 2, "x-overflow": "reject-publish"}))
    told = send(world, supernode, *(Outgoing("", "small", b"x") for _ in range(20)))
    assert told[:2] == [Outcome.CONFIRMED] * 2
    assert told[-1] is Outcome.NACKED


def test_a_rejected_message_is_dead_lettered_or_comes_again(
    world: World, supernode: Transport
) -> None:
    world.declare(limited())
    dead = Reader(world, supernode, "dead")
    seen: list[bool] = []

    def refuse(delivery: Delivery) -> None:
        seen.append(delivery.redelivered)
        supernode.reject(delivery, requeue=len(seen) == 1)

    world.do(supernode, partial(supernode.consume, "small", refuse))
    send(world, supernode, Outgoing("", "small", b"bad"))
    (letter,) = dead.wait(1)
    assert seen == [False, True]
    assert (letter.headers or {})["x-first-death-reason"] == "rejected"


def test_whoever_declares_the_same_again_is_answered_too(
    world: World, supernode: Transport
) -> None:
    told: list[Outcome] = []
    same = Topology((), (Queue("same"),))

    def often() -> None:
        for _ in range(20):
            supernode.declare(same, told.append, renew=False)

    world.do(supernode, often)
    world.until(lambda: len(told) == 20)
    assert set(told) == {Outcome.CONFIRMED}


def test_many_queues_are_made_at_once_and_a_refused_one_harms_no_other(
    world: World, supernode: Transport
) -> None:
    world.declare(limited())
    queues = [Queue("small", arguments={"x-expires": 60_000}), *(Queue(f"q{n}") for n in range(40))]
    outcomes: dict[str, Outcome] = {}

    def all_of_them() -> None:
        for queue in queues:
            done = partial(outcomes.__setitem__, queue.name)
            supernode.declare(Topology((), (queue,)), done, renew=False)

    world.do(supernode, all_of_them)
    world.until(lambda: len(outcomes) == len(queues))
    assert outcomes.pop("small") is Outcome.REFUSED
    assert set(outcomes.values()) == {Outcome.CONFIRMED}


def test_a_queue_that_is_made_twice_at_once_is_as_it_was_asked_for_last(
    world: World, supernode: Transport
) -> None:
    world.declare(Topology((Exchange("updates"),)))
    outcomes: list[Outcome] = []

    def both() -> None:
        for feed in ("config/a", "config/b", "config/a", "config/c"):
            inbox = inbox_topology(MEMBER, Sizes(), feeds=(feed,), anew=True)
            supernode.declare(inbox, outcomes.append, renew=False)

    world.do(supernode, both)
    world.until(lambda: len(outcomes) == 4)
    for key in ("config.a.x", "config.b.x", "config.c.x"):
        send(world, supernode, Outgoing("updates", key, key.encode()))
    reader = Reader(world, supernode, inbox_queue(MEMBER))
    assert [delivery.body for delivery in reader.wait(1)] == [b"config.c.x"]


def test_a_queue_that_nobody_uses_goes_away(world: World, supernode: Transport) -> None:
    brief = Topology((), (Queue("brief", arguments={"x-expires": 200}),))
    assert declare(world, supernode, brief, renew=False) is Outcome.CONFIRMED
    seen: list[Outcome] = []

    def gone() -> bool:
        longer = Topology((), (Queue("brief", arguments={"x-expires": 60_000}),))
        seen.append(declare(world, supernode, longer, renew=False))
        return seen[-1] is Outcome.CONFIRMED

    assert not gone()
    world.until(gone)


# --- refusals


@pytest.mark.parametrize(
    "refused",
    [
        Outgoing("nowhere", "a.b", b""),
        Outgoing("heartbeat", domain_key(OTHER), b""),
        Outgoing("dead", "a.b", b""),
        Outgoing("heartbeat", domain_key(MEMBER), b"", user_id=OTHER),
        Outgoing("", "heartbeats", b""),
    ],
    ids=["no exchange", "another's key", "another's exchange", "another's name", "a queue"],
)
def test_a_refused_publication_is_told_so_and_harms_nothing_else(
    world: World, member: Transport, refused: Outgoing
) -> None:
    assert send(world, member, refused) == [Outcome.REFUSED]
    assert member.status.flow is Flow.UP
    world.until(lambda: send(world, member, BEAT) == [Outcome.CONFIRMED])


def test_among_many_publications_the_guilty_one_alone_is_refused(
    world: World, member: Transport
) -> None:
    bad = Outgoing("heartbeat", domain_key(OTHER), b"")
    told = send(world, member, *[BEAT] * 10, bad, *[BEAT] * 10)
    assert [n for n, outcome in enumerate(told) if outcome is Outcome.REFUSED] == [10]
    assert set(told) <= {Outcome.CONFIRMED, Outcome.LOST, Outcome.REFUSED}


def test_who_may_not_declare_is_refused_and_goes_on(world: World, member: Transport) -> None:
    mine = Topology((), (Queue("mine"),))
    assert declare(world, member, mine, renew=False) is Outcome.REFUSED
    assert send(world, member, BEAT) == [Outcome.CONFIRMED]


def test_a_missing_queue_is_read_as_soon_as_it_is_there(world: World, member: Transport) -> None:
    inbox = Reader(world, member, inbox_queue(MEMBER))
    refused = Reader(world, member, "dead")
    send(world, member, BEAT)
    world.declare(inbox_topology(MEMBER, Sizes()))
    other = world.join(Role.SUPERNODE, "sn8.example.org")
    world.until(lambda: other.status.flow is Flow.UP)
    send(world, other, Outgoing("", inbox_queue(MEMBER), b"hello"))
    inbox.wait(1)
    assert refused.got == []


def test_a_queue_that_is_made_anew_has_its_new_bindings_alone(
    world: World, supernode: Transport
) -> None:
    for anew, feeds in ((False, ("config/a", "lock")), (True, ("config/b",))):
        inbox = inbox_topology(MEMBER, Sizes(), feeds=feeds, anew=anew)
        updates = Topology((Exchange("updates"),)) + inbox
        assert declare(world, supernode, updates, renew=False) is Outcome.CONFIRMED
        for key in ("config.a.x", "session.p.s", "config.b.x", "member.join.x"):
            assert send(world, supernode, Outgoing("updates", key, key.encode())) == [
                Outcome.CONFIRMED
            ]
    reader = Reader(world, supernode, inbox_queue(MEMBER))
    send(world, supernode, Outgoing("updates", "config.b.last", b"last"))
    assert [delivery.body for delivery in reader.wait(2)] == [b"config.b.x", b"last"]


def test_a_reader_whose_queue_was_deleted_reads_it_again_when_it_is_back(
    world: World, supernode: Transport
) -> None:
    small = limited()
    world.declare(small)
    reader, other = Reader(world, supernode, "small"), Reader(world, supernode, "dead")
    send(world, supernode, Outgoing("", "small", b"before"))
    reader.wait(1)
    world.delete_queue("small")
    world.declare(small)
    send(world, supernode, Outgoing("", "small", b"after"), Outgoing("dead", "x", b"as ever"))
    reader.wait(2)
    other.wait(1)


# --- reading


def test_no_more_than_the_prefetch_is_given_out(world: World, supernode: Transport) -> None:
    reader = Reader(world, supernode, "heartbeats", prefetch=3, acknowledge=False)
    send(world, supernode, *(Outgoing("heartbeat", "a", b"%d" % n) for n in range(9)))
    reader.wait(3)
    barrier = Reader(world, supernode, "dead")
    send(world, supernode, Outgoing("dead", "x", b""))
    barrier.wait(1)
    assert len(reader.got) == 3
    world.do(supernode, lambda: supernode.ack(reader.got[2], multiple=True))
    reader.wait(6)


def test_after_cancel_nothing_comes_and_the_rest_is_for_others(
    world: World, supernode: Transport
) -> None:
    first = Reader(world, supernode, "heartbeats", acknowledge=False)
    send(world, supernode, Outgoing("heartbeat", "a", b"one"))
    first.wait(1)
    world.do(supernode, lambda: supernode.cancel("heartbeats"))
    second = Reader(world, supernode, "heartbeats")
    second.wait(1)
    world.do(supernode, lambda: supernode.ack(first.got[0]))
    send(world, supernode, Outgoing("heartbeat", "a", b"two"))
    second.wait(2)
    assert second.got[0].redelivered
    assert len(first.got) == 1


def test_an_exclusive_reader_keeps_others_waiting(world: World, supernode: Transport) -> None:
    Reader(world, supernode, "heartbeats", exclusive=True)
    send(world, supernode, Outgoing("heartbeat", "a", b"one"))
    other = world.join(Role.SUPERNODE, "sn8.example.org")
    world.until(lambda: other.status.flow is Flow.UP)
    late = Reader(world, other, "heartbeats", exclusive=True)
    world.do(supernode, lambda: supernode.cancel("heartbeats"))
    send(world, other, Outgoing("heartbeat", "a", b"two"))
    late.wait(1)


# --- requests


def answer_all(world: World, transport: Transport, answer: bytes = b"pong") -> list[Delivery]:
    asked: list[Delivery] = []

    def reply(delivery: Delivery) -> None:
        asked.append(delivery)
        transport.ack(delivery)
        reply_to = delivery.reply_to or ""
        assert reply_to.startswith("amq.rabbitmq.reply-to.")
        transport.publish(Outgoing("", reply_to, answer, correlation_id=delivery.correlation_id))

    world.do(transport, partial(transport.consume, "requests", reply))
    return asked


def test_a_request_is_answered(world: World, supernode: Transport, member: Transport) -> None:
    answer_all(world, supernode)
    answer = ask(world, member, Outgoing("requests.member", "hello", b"ping"), timeout=20)
    assert answer is not None
    assert (answer.body, answer.user_id) == (b"pong", SUPERNODE)


def test_answers_find_their_requests(world: World, supernode: Transport, member: Transport) -> None:
    asked: list[Delivery] = []
    world.do(supernode, partial(supernode.consume, "requests", asked.append))
    answers: dict[bytes, Delivery | None] = {}

    def ask_thrice() -> None:
        for body in (b"a", b"b", b"c"):
            message = Outgoing("requests.member", "query", body)
            member.request(message, partial(answers.__setitem__, body), timeout=20)

    world.do(member, ask_thrice)
    world.until(lambda: len(asked) == 3)
    for request in reversed(asked):
        reply = Outgoing(
            "", request.reply_to or "", request.body, correlation_id=request.correlation_id
        )
        send(world, supernode, reply)
    world.until(lambda: len(answers) == 3)
    assert {body: answer and answer.body for body, answer in answers.items()} == {
        b"a": b"a",
        b"b": b"b",
        b"c": b"c",
    }


def test_no_answer_in_time_is_none_and_a_late_one_is_dropped(
    world: World, supernode: Transport, member: Transport
) -> None:
    request = Outgoing("requests.member", "hello", b"ping")
    assert ask(world, member, request, timeout=0.2) is None
    asked = answer_all(world, supernode)
    world.until(lambda: len(asked) == 1)
    assert ask(world, member, request, timeout=20) is not None


def test_a_refused_request_has_no_answer_at_once(world: World, member: Transport) -> None:
    assert ask(world, member, Outgoing("requests.member", "tail", b""), timeout=1000) is None


# --- losses


def test_after_a_cut_reading_goes_on_and_old_acknowledgements_mean_nothing(
    world: World, supernode: Transport, member: Transport, up: Up
) -> None:
    reader = Reader(world, supernode, "heartbeats", acknowledge=False)
    send(world, member, BEAT)
    reader.wait(1)
    world.cut(SUPERNODE)
    reader.wait(2)
    up(supernode)
    stale, again = reader.got
    assert again.redelivered
    assert stale.epoch != again.epoch
    world.do(supernode, lambda: supernode.ack(stale))
    world.cut(SUPERNODE)
    reader.wait(3)


def test_each_outcome_is_told_once_when_the_connection_is_cut(
    world: World, supernode: Transport, up: Up
) -> None:
    told: Counter[int] = Counter()

    def count(n: int, _outcome: Outcome) -> None:
        told[n] += 1

    def publish_many() -> None:
        for n in range(500):
            supernode.publish(Outgoing("heartbeat", "a", b"x"), partial(count, n))

    world.do(supernode, publish_many)
    world.cut(SUPERNODE)
    world.until(lambda: len(told) == 500)
    up(supernode)
    send(world, supernode, Outgoing("heartbeat", "a", b"x"))
    assert set(told.values()) == {1}


def test_who_is_up_finds_what_it_declared(world: World) -> None:
    subject = world.join(Role.SUPERNODE, SUPERNODE)
    told: list[Outcome] = []
    names = [f"mine.{n}" for n in range(50)]

    def publish_when_up(status: Status) -> None:
        if status.flow is Flow.UP:
            for name in names:
                subject.publish(Outgoing(name, "a", b"x"), told.append)

    def declare_all() -> None:
        subject.on_status(publish_when_up)
        for name in names:
            exchange, queue = (Exchange(name),), (Queue(name),)
            subject.declare(Topology(exchange, queue, (Binding(name, name),)))

    world.do(subject, declare_all)
    world.until(lambda: subject.status.flow is Flow.UP)
    world.cut(SUPERNODE)
    world.until(lambda: len(told) >= len(names))
    world.until(lambda: subject.status.flow is Flow.UP)
    assert Outcome.REFUSED not in told


def test_an_outage_is_told_with_its_reason_and_everything_is_there_afterwards(
    world: World, supernode: Transport, up: Up
) -> None:
    seen: list[Status] = []
    world.do(supernode, partial(supernode.on_status, seen.append))
    mine = Topology((Exchange("mine"),), (Queue("mine"),), (Binding("mine", "mine"),))
    assert declare(world, supernode, mine) is Outcome.CONFIRMED
    send(world, supernode, Outgoing("mine", "a", b"kept", persistent=True))
    with world.outage():
        world.until(lambda: "refuses connections" in supernode.status.reason)
        assert send(world, supernode, Outgoing("mine", "a", b"lost")) == [Outcome.LOST]
        assert ask(world, supernode, Outgoing("mine", "a", b""), timeout=1000) is None
    up(supernode)
    reader = Reader(world, supernode, "mine")
    reader.wait(1)
    assert reader.bodies() == [b"kept"]
    assert {status.flow for status in seen} == {Flow.DOWN, Flow.UP}
    assert [status.since for status in seen] == sorted(status.since for status in seen)


def test_a_blocked_broker_is_a_state_with_a_reason_and_reading_goes_on(
    world: World, supernode: Transport, up: Up
) -> None:
    reader = Reader(world, supernode, "heartbeats")
    send(world, supernode, Outgoing("heartbeat", "a", b"before"))
    reader.wait(1)
    told: list[Outcome] = []
    with world.alarm():
        world.do(
            supernode,
            lambda: supernode.publish(Outgoing("heartbeat", "a", b"meanwhile")),
        )
        world.until(lambda: supernode.status.flow is Flow.BLOCKED)
        assert "memory" in supernode.status.reason
        world.do(
            supernode, lambda: supernode.publish(Outgoing("heartbeat", "a", b"x"), told.append)
        )
        world.until(lambda: bool(told))
        assert told == [Outcome.TIMED_OUT]
    up(supernode)
    assert send(world, supernode, Outgoing("heartbeat", "a", b"after")) == [Outcome.CONFIRMED]
    world.until(lambda: reader.bodies()[-1] == b"after")


def test_a_broker_that_does_not_answer_costs_no_more_than_the_confirm_limit(
    world: World, supernode: Transport, up: Up
) -> None:
    started = supernode.now()
    with world.pause():
        assert send(world, supernode, Outgoing("heartbeat", "a", b"x")) == [Outcome.TIMED_OUT]
        assert supernode.now() - started >= 2.0
    world.until(
        lambda: send(world, supernode, Outgoing("heartbeat", "a", b"y")) == [Outcome.CONFIRMED]
    )


# --- its life


def test_stop_waits_for_what_was_published(world: World, supernode: Transport) -> None:
    told: list[Outcome] = []

    def goodbye() -> None:
        for _ in range(100):
            supernode.publish(Outgoing("heartbeat", "a", b"bye"), told.append)

    world.do(supernode, goodbye)
    world.leave(supernode)
    assert told == [Outcome.CONFIRMED] * 100
    assert supernode.status.flow is Flow.DOWN


def test_what_is_done_after_stop_does_no_harm(world: World, supernode: Transport) -> None:
    reader = Reader(world, supernode, "heartbeats", acknowledge=False)
    send(world, supernode, Outgoing("heartbeat", "a", b"x"))
    reader.wait(1)
    told: list[Outcome] = []

    def stop_and_go_on() -> None:
        supernode.stop()
        supernode.stop()
        supernode.ack(reader.got[0])
        supernode.publish(Outgoing("heartbeat", "a", b"late"), told.append)
        supernode.cancel("heartbeats")

    world.do(supernode, stop_and_go_on)
    world.leave(supernode)
    world.until(lambda: told == [Outcome.LOST])


def test_a_cancelled_timer_does_not_ring(world: World, supernode: Transport) -> None:
    rung: list[str] = []

    def set_timers() -> None:
        supernode.later(0.02, lambda: rung.append("never")).cancel()
        late = supernode.later(0.05, lambda: rung.append("late"))
        supernode.later(0.01, lambda: rung.append("soon"))
        supernode.later(0.1, late.cancel)
        supernode.later(0.15, lambda: rung.append("end"))

    world.do(supernode, set_timers)
    world.until(lambda: "end" in rung)
    assert rung == ["soon", "late", "end"]


def test_a_queue_is_consumed_once(world: World, supernode: Transport) -> None:
    errors: list[Exception] = []

    def consume_twice() -> None:
        supernode.consume("heartbeats", lambda _: None)
        try:
            supernode.consume("heartbeats", lambda _: None)
        except ValueError as error:
            errors.append(error)

    world.do(supernode, consume_twice)
    world.until(lambda: bool(errors))
