"""What a supernode answers, to whom, and each way in which it says no."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nm_agents.supernode import asks, hello, tails
from nm_agents.supernode.alerts.part import MOST_ALERTS
from nm_agents.supernode.asks import PATIENCE, AsksPart, ForwardedAsk
from nm_agents.supernode.ledger.part import LedgerPart
from nm_agents.supernode.tails import MOST_TAILS, TailsPart
from nm_agents.supernode.view import part as view_part
from nm_agents.supernode.view.part import ViewPart
from nm_bus.codec import LONG, Reason, decode, encode
from nm_bus.core.ledger.keys import MOST_FOLLOWED
from nm_bus.core.windows import kinds
from nm_bus.grants import grant
from nm_bus.identity.role import Role
from nm_bus.messages import (
    Alert,
    AlertState,
    Answer,
    Ask,
    Canary,
    Event,
    Hello,
    Message,
    Query,
    Read,
    Report,
    Severity,
    Subscribe,
    Sync,
    Tail,
)
from nm_bus.protocol import LEDGER_BUDGET, PROTOCOL, ROWS, SMALL
from nm_bus.topology import (
    DEAD,
    UPDATES,
    UPDATES_LOG,
    Queue,
    Topology,
    inbox_queue,
    request_exchange,
    request_key,
)
from nm_bus.transport.base import Delivery, Outgoing
from nm_bus.transport.memory import MemoryTransport

from .conftest import ADMIN, Process, Simulation, role_of

HERE, THERE = "sn1.example.org", "sn2.example.org"
NODE, FAR = "n1.example.org", "n2.example.org"

Make = Callable[..., Simulation]


@pytest.fixture
def simulation(make_simulation: Make) -> Simulation:
    """Two supernodes with a member each, known to both."""
    simulation = make_simulation(HERE, THERE)
    simulation.connect()
    simulation.start()
    simulation.member(NODE, HERE)
    simulation.member(FAR, THERE)
    simulation.clock.advance(10.0)
    return simulation


def refused(answer: Answer | None) -> tuple[str, str]:
    assert answer is not None
    assert not answer.ok
    return answer.code, answer.error


def data(answer: Answer | None) -> dict[str, object]:
    assert answer is not None
    assert answer.ok, answer.error
    return answer.data


class Inbox:
    """A member that answers what it is asked, with what the test says."""

    def __init__(self, simulation: Simulation, node: str, **answer: object) -> None:
        self.transport: Process = simulation.members[node].transport
        self.node = self.speaks_as = node
        self.answer = answer
        self.asked: list[Ask] = []
        assert simulation.ask(home_of(node), Hello(), user=node) is not None
        self.transport.consume(inbox_queue(node), self._came)

    def _came(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        assert isinstance(event, Event)
        assert isinstance(event.data, Ask)
        self.asked.append(event.data)
        fields = {"ok": True, "answer": {"pid": 7}} | self.answer
        self.say(Report(event.data.request, self.node, **fields))  # type: ignore[arg-type]

    def say(self, report: Report) -> None:
        body = encode(report, source=self.speaks_as, id="r", time=self.transport.now())
        self.transport.publish(Outgoing(request_exchange(Role.MEMBER), "report", body))


def home_of(node: str) -> str:
    return HERE if node == NODE else THERE


# --- queries


def test_status_tells_of_all_supernodes_and_members(simulation: Simulation) -> None:
    told = data(simulation.ask(HERE, Query("status")))
    members, supernodes = told["members"], told["supernodes"]
    assert isinstance(members, list)
    assert isinstance(supernodes, list)
    assert [each["state"]["node"] for each in members] == [NODE, FAR]
    assert [each["node"] for each in supernodes] == [HERE, THERE]


def test_a_node_is_told_with_its_series_and_an_unknown_one_is_refused(
    simulation: Simulation,
) -> None:
    simulation.clock.advance(90.0)
    series = data(simulation.ask(HERE, Query("node", FAR)))["series"]
    assert isinstance(series, dict)
    assert "host.load.1m" in series
    code, error = refused(simulation.ask(HERE, Query("node", "nobody.example.org")))
    assert code == "unknown-node"
    assert "nobody.example.org" in error


@pytest.mark.parametrize(("what", "key"), [("alerts", "alerts"), ("time", "now")])
def test_the_other_queries_are_answered(simulation: Simulation, what: str, key: str) -> None:
    assert key in data(simulation.ask(HERE, Query(what)))


# --- refusals


def test_a_verb_that_is_not_the_messages_own_is_refused(simulation: Simulation) -> None:
    code, error = refused(simulation.ask(HERE, Ask("r", NODE, "status"), key="query"))
    assert (code, error) == ("not-allowed", "the key query is not what the message asks for")


def test_what_is_no_request_is_refused(simulation: Simulation) -> None:
    simulation.sites[HERE].broker.admit(grant(Role.SUPERNODE, "root.example.org"))
    canary = Canary("p", "i", 1, 0.0)
    answer = simulation.ask(HERE, canary, user="root.example.org")
    assert refused(answer) == ("bad-request", "wrong-stream: Canary does not belong here")


def test_an_exchange_that_may_not_be_watched_is_refused(simulation: Simulation) -> None:
    code, error = refused(simulation.ask(HERE, Tail("peer.sn2.example.org")))
    assert code == "bad-request"
    assert "use alerts, dead, heartbeat" in error


def test_a_subscription_without_a_management_api_is_refused(simulation: Simulation) -> None:
    code, _ = refused(simulation.ask(HERE, Subscribe()))
    assert code == "unavailable"


def ask_by_hand(simulation: Simulation, message: Message, reply_to: str, source: str) -> None:
    broker = simulation.sites[HERE].broker
    client = MemoryTransport(broker, simulation.clock, user=ADMIN, random=lambda: 0.5)
    client.start()
    simulation.clock.advance(0.1)
    body = encode(message, source=source, id="h", time=simulation.clock.now())
    exchange, key = request_exchange(Role.ADMINISTRATOR), request_key(message)
    client.publish(Outgoing(exchange, key, body, reply_to=reply_to))
    simulation.clock.advance(1.0)
    client.stop()


def test_an_answer_never_goes_into_a_queue(simulation: Simulation) -> None:
    broker = simulation.sites[HERE].broker
    broker.declare(Topology(queues=(Queue("inbox.victim"),)))
    ask_by_hand(simulation, Query("status"), "inbox.victim", ADMIN)
    assert len(broker.queues["inbox.victim"]) == 0


def test_a_request_in_anothers_name_goes_to_quarantine(simulation: Simulation) -> None:
    broker = simulation.sites[HERE].broker
    ask_by_hand(simulation, Query("status"), "", "another.example.org")
    assert len(broker.queues[DEAD]) == 1


def raw(
    simulation: Simulation, *bodies: bytes, user: str = ADMIN, verb: str = "query"
) -> list[Answer | None]:
    """What comes back to who sends these bytes as requests, one right after the other."""
    broker, answers = simulation.sites[HERE].broker, list[Delivery | None]()
    client = MemoryTransport(broker, simulation.clock, user=user, random=lambda: 0.5)
    client.start()
    simulation.clock.advance(0.1)
    for body in bodies:
        message = Outgoing(request_exchange(role_of(user)), verb, body)
        client.request(message, answers.append, timeout=20.0)
    simulation.clock.run(lambda: len(answers) == len(bodies), 21.0)
    client.stop()
    return [answer_in(delivery) for delivery in answers]


def answer_in(delivery: Delivery | None) -> Answer | None:
    event = decode(delivery.body) if delivery else None
    assert event is None or isinstance(event, Event), event
    answer = event.data if event else None
    assert answer is None or isinstance(answer, Answer)
    return answer


def question(source: str = ADMIN) -> bytes:
    return encode(Query("time"), source=source, id="q1", time=0.0)


@pytest.mark.parametrize(
    ("body", "request_id", "told"),
    [
        (b"nonsense", "unknown", "not-json"),
        (b'{"id": "q2"}', "q2", "no-cloudevent"),
        (b'{"id": "\\n"}', "unknown", "no-cloudevent"),
        (b"[" * 100_000, "unknown", "too-deep"),
        (b" " * 300_000, "unknown", "too-large: 300000 bytes where 262144 are allowed"),
        (question().replace(b'"what":"time"', b'"what":7'), "q1", "invalid: data.what"),
        (question("another.example.org"), "q1", "not-sender"),
    ],
)
def test_who_asks_what_cannot_be_read_is_told_so_at_once(
    simulation: Simulation, body: bytes, request_id: str, told: str
) -> None:
    began = simulation.clock.now()
    (answer,) = raw(simulation, body)
    code, error = refused(answer)
    assert answer is not None
    assert (code, answer.request) == ("bad-request", request_id)
    assert error.startswith(told)
    assert simulation.clock.now() - began < 2.0
    assert len(simulation.sites[HERE].broker.queues[DEAD]) == 1


def test_nonsense_is_never_answered_into_a_queue(simulation: Simulation) -> None:
    broker = simulation.sites[HERE].broker
    broker.declare(Topology(queues=(Queue("inbox.victim"),)))
    ask_by_hand(simulation, Query("status"), "inbox.victim", "another.example.org")
    assert len(broker.queues["inbox.victim"]) == 0
    assert len(broker.queues[DEAD]) == 1


@pytest.mark.parametrize("body", [question(), b"nonsense"])
def test_an_answer_never_goes_to_a_node_that_the_broker_does_not_have(
    simulation: Simulation, body: bytes
) -> None:
    asked = simulation.sites[HERE].service.requests
    asked.reply_nodes = frozenset([b"reply@1"])
    assert raw(simulation, body) == [None]


@pytest.mark.parametrize("body", [question(NODE), b"nonsense"])
def test_who_floods_is_told_to_slow_down_and_keeps_nobody_waiting(
    simulation: Simulation, body: bytes
) -> None:
    answers = raw(simulation, *[body] * 200, user=NODE)
    refusals = [a for a in answers if a and a.code == "unavailable"]
    assert len(answers) - len(refusals) == SMALL.burst
    assert {a.error for a in refusals} == {"too many requests, slow down"}
    assert {a.request for a in refusals} == {"q1" if body != b"nonsense" else "unknown"}
    assert data(raw(simulation, question())[0])
    assert len(simulation.sites[HERE].broker.queues[DEAD]) == (200 if body == b"nonsense" else 0)
    simulation.clock.advance(1.0)
    assert data(raw(simulation, question(NODE), user=NODE)[0])


# --- queues for principals


def test_hello_makes_the_inbox_and_tail_a_queue_of_ones_own(simulation: Simulation) -> None:
    answer = data(simulation.ask(HERE, Hello(), user=NODE))
    assert answer == {"queue": inbox_queue(NODE), "supernode": HERE}
    queue = data(simulation.ask(HERE, Tail("alerts")))["queue"]
    assert isinstance(queue, str)
    assert queue.startswith(f"tail.{ADMIN}:")
    assert {inbox_queue(NODE), queue} <= simulation.sites[HERE].broker.queues.keys()


def heard(simulation: Simulation, *keys: str) -> int:
    """How many of some updates came to the node's inbox, beside what was in it."""
    queues, supernode = simulation.sites[HERE].broker.queues, simulation.sites[HERE].process(HERE)
    supernode.start()
    simulation.clock.advance(1.0)
    before = len(queues[inbox_queue(NODE)])
    for key in keys:
        supernode.publish(Outgoing(UPDATES, key, b"an update"))
    simulation.clock.advance(1.0)
    supernode.stop()
    simulation.clock.advance(5.0)
    return len(queues[inbox_queue(NODE)]) - before


def test_an_inbox_hears_of_the_feeds_that_its_principal_names_and_of_no_other(
    simulation: Simulation,
) -> None:
    keys = ("config.a.b", "config.c.d", "lock.l", "session.p.s", "member.join.org.n2")
    simulation.ask(HERE, Hello(), user=NODE)
    assert heard(simulation, *keys) == 0
    simulation.ask(HERE, Hello(feeds=("config/a", "lock")), user=NODE)
    assert heard(simulation, *keys) == 3
    simulation.ask(HERE, Hello(feeds=("",)), user=NODE)
    assert heard(simulation, *keys) == 5
    assert len(simulation.sites[HERE].broker.queues[UPDATES_LOG]) == 15


def test_a_thousand_joins_cost_an_inbox_nothing(simulation: Simulation) -> None:
    simulation.ask(HERE, Hello(feeds=("config/a",)), user=NODE)
    assert heard(simulation, *(f"member.join.org.n{n}" for n in range(1_000))) == 0
    assert len(simulation.sites[HERE].broker.queues[UPDATES_LOG]) == 1_000


def test_an_inbox_loses_the_bindings_that_are_not_wanted_any_more(simulation: Simulation) -> None:
    for feeds in (("config/a", "config/c"), ("config/c",)):
        simulation.ask(HERE, Hello(feeds=feeds), user=NODE)
    assert heard(simulation, "config.a.b", "config.c.d") == 1


def test_what_inboxes_are_bound_to_is_remembered_of_the_last_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hello, "MOST_KNOWN", 2)
    known = hello.KnownInboxes()
    for user in ("a", "b", "a", "c"):
        known.made(user, ("lock",))
    assert [known.is_bound(user, ("lock",)) for user in "abc"] == [True, False, True]
    assert not known.is_bound("a", ("lock", "role"))


def test_an_inbox_that_is_bound_as_it_was_keeps_what_waits_in_it(simulation: Simulation) -> None:
    said = Hello(feeds=("config/a",))
    simulation.ask(HERE, said, user=NODE)
    assert heard(simulation, "config.a.b") == 1
    simulation.ask(HERE, said, user=NODE)
    assert len(simulation.sites[HERE].broker.queues[inbox_queue(NODE)]) == 1


@pytest.mark.parametrize(
    ("feeds", "error"),
    [
        (("config/a", "nonsense/x"), "'nonsense/x' is no feed of the ledger: config/<component>"),
        (tuple(f"config/c{n}" for n in range(MOST_FOLLOWED + 1)), "invalid: data.feeds: "),
    ],
)
def test_a_hello_with_feeds_that_are_none_is_refused_and_nothing_is_made(
    simulation: Simulation, feeds: tuple[str, ...], error: str
) -> None:
    code, why = refused(simulation.ask(HERE, Hello(feeds=feeds), user=NODE))
    assert code == "bad-request"
    assert error in why
    assert inbox_queue(NODE) not in simulation.sites[HERE].broker.queues


def test_a_component_may_tail_updates_and_nothing_else(simulation: Simulation) -> None:
    component = "dashboard.example.org"
    simulation.sites[HERE].broker.admit(grant(Role.COMPONENT, component))
    asked = Tail(UPDATES, "config.thredds.#")
    told = data(simulation.ask(HERE, asked, user=component, role=Role.COMPONENT))
    assert str(told["queue"]).startswith(f"tail.{component}:")
    code, error = refused(
        simulation.ask(
            HERE, Tail("alerts"), key=request_key(asked), user=component, role=Role.COMPONENT
        )
    )
    assert (code, error) == (
        "not-allowed",
        "the key tail.updates is not what the message asks for",
    )


def test_a_tail_of_a_feed_is_bound_to_that_alone(simulation: Simulation) -> None:
    queue = str(data(simulation.ask(HERE, Tail(UPDATES, feed="lock")))["queue"])
    supernode = simulation.sites[HERE].process(HERE)
    supernode.start()
    simulation.clock.advance(1.0)
    for key in ("lock.a", "session.b.c", "config.a.b"):
        supernode.publish(Outgoing(UPDATES, key, b"an update"))
    simulation.clock.advance(1.0)
    assert len(simulation.sites[HERE].broker.queues[queue]) == 2


@pytest.mark.parametrize(
    ("tail", "error"),
    [
        (Tail(UPDATES, feed="no/feed"), "'no/feed' is no feed of the ledger: config/<component>"),
        (Tail("alerts", feed="lock"), "feeds are in 'updates', not in 'alerts'"),
    ],
)
def test_a_tail_of_what_is_no_feed_is_refused(
    simulation: Simulation, tail: Tail, error: str
) -> None:
    code, why = refused(simulation.ask(HERE, tail))
    assert code == "bad-request"
    assert why.startswith(error)


@pytest.mark.parametrize("asked", [Read("ledger"), Sync(0, 0, "")])
def test_a_supernode_without_a_ledger_says_so_and_what_to_do(
    simulation: Simulation, asked: Message
) -> None:
    code, error = refused(simulation.ask(HERE, asked))
    assert code == "no-ledger"
    assert error == f"{HERE} has no ledger; run nm-bus init there, or ask another supernode"


def test_tail_queues_that_nobody_reads_stay_few(simulation: Simulation) -> None:
    broker = simulation.sites[HERE].broker
    most = 0
    for _ in range(240):
        simulation.ask(HERE, Tail("alerts"))
        most = max(most, sum(name.startswith("tail.") for name in broker.queues))
        simulation.clock.advance(1.0)
    assert MOST_TAILS // 2 < most <= MOST_TAILS


def test_who_reads_many_tail_queues_gets_no_more(simulation: Simulation) -> None:
    asked = simulation.sites[HERE].service.part(TailsPart)
    asked._seen = {ADMIN: MOST_TAILS}
    code, error = refused(simulation.ask(HERE, Tail("alerts")))
    assert code == "unavailable"
    assert error.startswith("you have too many tail queues")
    asked._seen = {ADMIN: MOST_TAILS - 1}
    assert data(simulation.ask(HERE, Tail("alerts")))


# --- questions to members


def test_a_member_answers_by_way_of_its_home(simulation: Simulation) -> None:
    inbox = Inbox(simulation, NODE)
    assert data(simulation.ask(HERE, Ask("r", NODE, "check", "disk"))) == {"pid": 7}
    (asked,) = inbox.asked
    assert (asked.what, asked.check) == ("check", "disk")
    assert asked.request != "r", "who answers cannot know whose question it was"


def test_a_member_of_a_peer_is_asked_through_the_peer(simulation: Simulation) -> None:
    Inbox(simulation, FAR)
    assert data(simulation.ask(HERE, Ask("r", FAR, "status"))) == {"pid": 7}


@pytest.mark.parametrize("node", [NODE, FAR])
def test_a_members_refusal_is_told(simulation: Simulation, node: str) -> None:
    Inbox(simulation, node, ok=False, error="there is no check 'disk'")
    answer = simulation.ask(HERE, Ask("r", node, "check", "disk"))
    assert refused(answer) == ("refused", "there is no check 'disk'")


def test_nobody_is_asked_who_was_never_heard(simulation: Simulation) -> None:
    code, _ = refused(simulation.ask(HERE, Ask("r", "nobody.example.org", "status")))
    assert code == "unknown-node"


@pytest.mark.parametrize("node", [NODE, FAR])
def test_a_member_that_is_silent_is_told_in_time(simulation: Simulation, node: str) -> None:
    assert simulation.ask(home_of(node), Hello(), user=node) is not None
    began = simulation.clock.now()
    code, error = refused(simulation.ask(HERE, Ask("r", node, "status")))
    assert (code, error) == ("unavailable", f"{node} did not answer within 30 s")
    assert simulation.clock.now() - began < PATIENCE + 2.0


def test_what_a_peer_refuses_is_told_at_once(simulation: Simulation) -> None:
    """Else its asker would wait in vain for what nobody will answer."""
    there = simulation.sites[THERE].service.part(AsksPart)
    there._open.update(
        {str(n): ForwardedAsk(there.sender, HERE, str(n)) for n in range(asks.MOST_OPEN)}
    )
    answer = simulation.ask(HERE, Ask("r", FAR, "status"))
    assert refused(answer) == ("refused", "too many questions are open; ask again later")


def test_a_refusal_is_no_longer_than_everybody_takes(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "TAILED", {"x" * 3_000})
    _, error = refused(simulation.ask(HERE, Tail("alerts")))
    assert len(error) == LONG


def test_a_node_with_more_series_than_fit_is_told_with_their_number(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation.clock.advance(90.0)
    windows = simulation.sites[HERE].service.part(ViewPart).windows
    now = simulation.clock.now()
    some = {f"m.{n:03}": 1.0 for n in range(400)}
    windows.feed(NODE, some, now, now, kinds({}))
    monkeypatch.setattr(view_part, "DETAIL_BYTES", 20_000)
    told = data(simulation.ask(HERE, Query("node", NODE)))
    series, left_out = told["series"], told["left_out"]
    assert isinstance(series, dict)
    assert isinstance(left_out, int)
    assert 0 < len(series) < 400
    assert len(series) + left_out >= 400


def test_one_member_cannot_answer_for_another(simulation: Simulation) -> None:
    inbox, broker = Inbox(simulation, NODE), simulation.sites[HERE].broker
    broker.admit(grant(Role.MEMBER, FAR))
    inbox.transport = Process(broker, simulation.clock, user=FAR, random=lambda: 0.5)
    inbox.transport.start()
    inbox.speaks_as = FAR
    code, _ = refused(simulation.ask(HERE, Ask("r", NODE, "status")))
    assert code == "unavailable"
    assert len(inbox.asked) == 1


def test_open_questions_are_bounded_and_end(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asks, "MOST_OPEN", 3)
    assert simulation.ask(HERE, Hello(), user=NODE) is not None
    for _ in range(3):
        ask_by_hand(simulation, Ask("r", NODE, "status"), "amq.rabbitmq.reply-to.none", ADMIN)
    code, error = refused(simulation.ask(HERE, Ask("r", NODE, "status")))
    assert (code, error) == ("unavailable", "too many questions are open; ask again later")
    simulation.clock.advance(PATIENCE)
    Inbox(simulation, NODE)
    assert data(simulation.ask(HERE, Ask("r", NODE, "status"))) == {"pid": 7}


def test_a_component_that_calls_itself_a_member_is_none(simulation: Simulation) -> None:
    """What it is, the broker says: it lets nobody write to another role's exchange."""
    component = "dashboard.example.org"
    simulation.sites[HERE].broker.admit(grant(Role.COMPONENT, component))
    joined: list[str] = []
    requests = SimpleNamespace(joined=joined.append)
    part = simulation.sites[HERE].service.part(LedgerPart)
    part.serving = cast(Any, SimpleNamespace(requests=requests))
    assert simulation.ask(HERE, Hello(), user=component, role=Role.MEMBER) is None
    simulation.ask(HERE, Hello(), user=component, role=Role.COMPONENT)
    assert joined == []
    simulation.ask(HERE, Hello(), user=NODE)
    assert joined == [NODE]


def test_pages_of_the_ledger_cost_more_than_small_questions(simulation: Simulation) -> None:
    sync = encode(Sync(1, 0, "00" * 32), source=NODE, id="q1", time=0.0)
    answers = raw(simulation, *[sync] * 100, user=NODE, verb="sync")
    refused_ = [a for a in answers if a and a.error == "too many requests, slow down"]
    most = LEDGER_BUDGET.burst / ROWS[Sync].cost
    assert len(answers) - len(refused_) == most
    assert simulation.sites[HERE].service.requests.floods[NODE] == len(refused_)


def test_an_answer_of_alerts_is_bounded_and_says_that_there_are_more(
    simulation: Simulation,
) -> None:
    one = Alert("a", 1, AlertState.RAISED, Severity.INFO, "k", NODE, "s", 0.0, 0.0, HERE)
    alerts = simulation.sites[HERE].alerts.alerts
    alerts.active = {str(n): one for n in range(100_000)}
    told = data(simulation.ask(HERE, Query("alerts")))
    assert told["more"] is True
    assert 0 < len(cast(Any, told["alerts"])) <= MOST_ALERTS


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"CC": ["hello"]}, "not-key: a CC header"),
        ({Reason.UNREADABLE_HEADERS: True}, "unreadable-headers: its headers are too long"),
    ],
    ids=["copies", "unreadable"],
)
def test_a_request_is_refused_and_put_aside_for_its_headers(
    simulation: Simulation, headers: dict[str, object], said: str
) -> None:
    broker, answers = simulation.sites[HERE].broker, list[Delivery | None]()
    client = MemoryTransport(broker, simulation.clock, user=NODE, random=lambda: 0.5)
    client.start()
    simulation.clock.advance(0.1)
    asked = Outgoing(request_exchange(Role.MEMBER), "query", question(NODE), headers=headers)
    client.request(asked, answers.append, timeout=20.0)
    simulation.clock.advance(21.0)
    code, error = refused(answer_in(answers[0]))
    assert (code, error[: len(said)]) == ("bad-request", said)
    assert len(broker.queues[DEAD]) >= 1


def test_every_request_that_the_protocol_has_is_taken_by_a_part(simulation: Simulation) -> None:
    requests = simulation.sites[HERE].service.requests
    asked = {row.message for row in PROTOCOL if row.asked_by or row.only}
    assert asked == {*requests.handlers, *requests.others}
