"""What our own programs write at its largest still passes our own schemas and limits of size.

A message that everybody refuses makes who sends it silent, and what it tells of is unknown.
"""

from collections.abc import Iterable

import msgspec
import pytest

from nm_agents.member.documents import REASON_LENGTH
from nm_agents.member.following import _bounded as bounded
from nm_agents.supernode.ledger.peers import MOST_BYTES
from nm_bus.codec import LONG, decode, encode, quarantine
from nm_bus.core.agent import Agent, fitting
from nm_bus.core.alerts.conditions import (
    Condition,
    check_conditions,
    link_trouble,
    member_conditions,
)
from nm_bus.core.alerts.kinds import About, AlertKind, Scope
from nm_bus.core.alerts.life import Alerts
from nm_bus.core.hearing import Hearing
from nm_bus.core.ingest import Ingest
from nm_bus.core.ledger.batches import fill
from nm_bus.core.ledger.boots import Boots
from nm_bus.core.ledger.cut import Cut
from nm_bus.core.ledger.effects import Vote, casts
from nm_bus.core.ledger.keys import MOST_FOLLOWED
from nm_bus.core.ledger.state import State
from nm_bus.core.nagios import PluginVerdict
from nm_bus.core.overview import overview
from nm_bus.core.pages import first_page
from nm_bus.core.pipe import Pipe
from nm_bus.core.view import View
from nm_bus.messages import (
    Accept,
    Alert,
    Answer,
    Ballot,
    Batch,
    Beat,
    BrokerState,
    Canary,
    Change,
    Check,
    CheckStatus,
    Declared,
    Echo,
    Endpoint,
    Entry,
    Event,
    FollowedFeed,
    Health,
    Heartbeat,
    Hello,
    Ledger,
    LinkState,
    Mark,
    MemberState,
    MemberView,
    Message,
    Metrics,
    Properties,
    Recalled,
    Running,
    Seconds,
    Severity,
    Snap,
    Statement,
    Step,
    Supernode,
    Synced,
)
from nm_bus.topology import PEER_BYTES, PRINCIPAL_BYTES, LinkKind

NOW: Seconds = 1_800_000_000.0
LIFE = "x" * 64
WORST = "\U0001f680"
"""A letter of four bytes."""


def longest(number: int, length: int = 200) -> str:
    """A node's id of the greatest length."""
    return f"{number:06}".ljust(length, "n")


HERE, THERE, NODE = longest(1), longest(2), longest(3)


def pass_all(messages: Iterable[Message], limit: int = PEER_BYTES) -> None:
    """Hold messages to what receivers ask of them."""
    for message in messages:
        body = encode(message, source=HERE, id="x", time=NOW)
        event = decode(body, limit=limit)
        assert isinstance(event, Event), event
        assert msgspec.json.encode(event.data) == msgspec.json.encode(message)


def ingest() -> Ingest:
    return Ingest(HERE, 1023, LIFE, Pipe("heartbeat.1023", 3.0))


def beat(sequence: int = 1) -> Heartbeat:
    checks = tuple(
        Check(f"{n:064}", CheckStatus.CRITICAL, WORST * 256, NOW + n / 7) for n in range(100)
    )
    return Heartbeat(LIFE, sequence, 86_400.0, 1.0 / 3, WORST * 128, checks)


def metrics() -> Metrics:
    declared = tuple(Declared(f"m{n:0199}", "u" * 32, "counter", True) for n in range(500))
    values = {f"m{n}[{WORST * 200}]": -1.2345678901234567e-300 for n in range(64)}
    return Metrics(LIFE, 1, 0.0, values, declared)


def properties() -> Properties:
    endpoints = tuple(Endpoint(WORST * 128, WORST * 200, WORST * 128) for _ in range(100))
    return Properties(LIFE, WORST * 256, WORST * 1_000, endpoints=endpoints)


def feeds() -> tuple[FollowedFeed, ...]:
    names = [f"config/{n:0128}" for n in range(MOST_FOLLOWED)]
    return tuple(FollowedFeed(name, 1, 2**53 - 1, "a" * 64) for name in names)


def running() -> Running:
    documents = {f"config/c/{n:0200}": 2**53 - 1 for n in range(300)}
    return Running(LIFE, feeds(), documents, dict.fromkeys(documents, "r" * 500))


# --- what members say


def test_a_member_s_largest_messages_are_taken_by_its_home() -> None:
    agent = Agent(NODE, LIFE, 86_400.0, WORST * 128, 0.0)
    for number in range(100):
        verdict = PluginVerdict(CheckStatus.CRITICAL, WORST * 256)
        agent.checked(f"{number:064}", verdict, NOW + number / 7)
    values = {f"m{number}[{WORST * 250}]": -1.2345678901234567e-300 for number in range(2_000)}
    fit = fitting(values)
    assert fit.troubles
    told: list[Message] = [
        Hello(WORST * 128, tuple(each.feed for each in feeds())),
        agent.heartbeat(NOW, spooled=2**53 - 1),
        agent.metrics(fit.values),
    ]
    pass_all(told, PRINCIPAL_BYTES)


def test_a_member_s_report_of_many_documents_is_taken_by_its_home() -> None:
    keys = [f"config/thredds/{number:0200}" for number in range(2_000)]
    documents = bounded(dict.fromkeys(keys, 2**53 - 1))
    troubles = bounded(dict.fromkeys(keys, WORST * REASON_LENGTH))
    assert 0 < len(troubles) < len(documents) < len(keys)
    pass_all([Running(LIFE, feeds(), documents, troubles)], PRINCIPAL_BYTES)


# --- what ingest processes say


def full() -> Ingest:
    """A process whose members say as much as they may."""
    it = ingest()
    for number in range(20):
        node = longest(number)
        it.heard(node, beat(), NOW, NOW)
        it.sampled(node, metrics(), NOW)
        it.described(node, properties(), NOW)
        it.runs(node, running(), NOW)
    return it


def test_statements_of_talkative_members_are_taken() -> None:
    assert len(list(full().changes(NOW))) > 1
    pass_all(full().changes(NOW))
    pass_all(full().roster(NOW))


def crowd(count: int) -> Ingest:
    it = ingest()
    for number in range(count):
        it.heard(longest(number), Heartbeat(LIFE, 1, 5.0, 1.0, "x"), NOW, NOW)
    list(it.changes(NOW))
    return it


def test_a_crowd_that_only_lives_is_told_in_pages() -> None:
    count = 25_000
    it = crowd(count)
    for number in range(count):
        it.heard(longest(number), Heartbeat(LIFE, 2, 5.0, 1.0, "x"), NOW, NOW + 5.0)
    told = list(it.changes(NOW + 6.0))
    pass_all(told)
    assert sum(len(statement.heard) for statement in told) == count


def test_the_list_of_a_crowd_has_a_page_of_its_own() -> None:
    told = list(crowd(20_000).roster(NOW))
    pass_all(told)
    assert len(told[-1].roster or ()) == 20_000
    assert told[-1].members == ()


def test_a_list_that_no_message_holds_is_left_out() -> None:
    told = list(crowd(25_000).roster(NOW))
    pass_all(told)
    assert {statement.roster for statement in told} == {None}
    assert sum(len(statement.members) for statement in told) == 25_000


def test_a_member_whose_clock_is_at_the_beginning_of_time_silences_nobody() -> None:
    it = ingest()
    it.heard(NODE, beat(), -62_135_596_800.0, NOW)
    pass_all(it.changes(NOW))


@pytest.mark.parametrize("sent", [0.0, 253_402_300_799.0])
def test_a_peer_whose_clock_is_at_the_end_of_time_silences_nobody(sent: Seconds) -> None:
    hearing = Hearing(HERE, 3.0)
    hearing.expect([(THERE, LinkKind.CONTROL)])
    hearing.canary((THERE, LinkKind.CONTROL), Canary("control", LIFE, 1, sent), NOW)
    links = tuple(hearing.states(NOW))
    pass_all([Supernode(HERE, LIFE, 1, NOW, NOW, "x", BrokerState("up"), incoming=links)])


# --- alerts


def link() -> LinkState:
    return LinkState(THERE, HERE, "control", "down", WORST * 1_000)


def raised(conditions: Iterable[Condition]) -> list[Alert]:
    alerts, scope = Alerts(HERE), Scope(About.MEMBER, NODE)
    held = [msgspec.structs.replace(each, holds=True) for each in conditions]
    first = [*alerts.report(scope, held, NOW), *alerts.tick(NOW + 60.0)]
    return [*first, *(alerts.close(alert, NOW + 61.0) for alert in list(alerts.active.values()))]


def every_alert() -> list[Alert]:
    """Raised and resolved, of members with the longest names and reasons."""
    state = MemberState(NODE, Health.DOWN, WORST * 1_000)
    check = Check("c" * 64, CheckStatus.CRITICAL, WORST * 256)
    endless = Condition(
        AlertKind("k" * 64, About.OTHER, Severity.CRITICAL, "", ""),
        NODE,
        WORST * 5_000,
        what=f"{HERE}.{2**53}",
        details={"signature": "s" * 2_048},
    )
    return raised(
        [
            *member_conditions(MemberView(HERE, 0.0, state)),
            *check_conditions(NODE, check, Health.ALIVE),
            link_trouble(View(HERE, 3.0), link(), NOW),
            endless,
        ]
    )


def test_alerts_of_the_longest_names_are_taken() -> None:
    told = every_alert()
    pass_all(told)
    assert len({alert.transition for alert in told}) == len(told)


def test_what_is_cut_of_an_alert_is_seen_to_be() -> None:
    alert = next(alert for alert in every_alert() if alert.kind.startswith("kk"))
    assert len(alert.summary) == 2_000
    assert alert.summary.endswith("…")


# --- answers and records


def test_an_overview_with_the_longest_alerts_is_taken() -> None:
    view = View(HERE, 3.0)
    for statement in full().roster(NOW):
        view.stated(statement, NOW)
    alert = max(every_alert(), key=lambda each: len(each.summary))
    alerts = [msgspec.structs.replace(alert, alert=str(n)) for n in range(1_000)]
    pages = overview(view, alerts, 0, NOW).pages
    told = (overview(view, alerts, page, NOW) for page in range(pages))
    pass_all(Answer("r" * 128, ok=True, data=msgspec.to_builtins(page)) for page in told)


@pytest.mark.parametrize("text", ["x", WORST, "\x01"], ids=["plain", "wide", "control"])
def test_a_record_of_the_largest_refused_message_is_taken(text: str) -> None:
    much = text * 2 * LONG
    record = quarantine(
        b"\xff" * PEER_BYTES, reason="too-large", detail=much, who=much, exchange=much, key=much
    )
    pass_all([record])


def test_all_members_of_a_full_report_arrive() -> None:
    view = View(THERE, 3.0)
    for statement in full().roster(NOW):
        body = encode(statement, source=HERE, id="x", time=NOW)
        event = decode(body, limit=PEER_BYTES)
        assert isinstance(event, Event)
        assert isinstance(event.data, Statement)
        view.stated(event.data, NOW)
    assert {member.state.node for member in view.members(NOW)} == set(map(longest, range(20)))


# --- the ledger


def change(number: int) -> Change:
    """One as large as a supernode takes: 192 KiB."""
    value = {"text": WORST * (47 * 1024)}
    return Change(f"{HERE}/{LIFE}/{number}", HERE, "set", f"config/c/{number}", value=value)


def step(step: Step) -> Ledger:
    return Ledger(HERE, LIFE, 2**53 - 1, 2**53 - 1, LIFE, step, mark=Mark(2**53 - 1, 1, "a" * 64))


def test_the_largest_batch_is_taken() -> None:
    changes = tuple(fill([change(number) for number in range(20)]))
    assert len(changes) > 1
    voter = f"{HERE}#{LIFE}"
    pass_all([step(Accept(1, Ballot(1, voter), Batch(voter, 1, changes)))])


def test_the_largest_votes_that_are_told_to_a_new_life_are_taken() -> None:
    voter = f"{HERE}#{LIFE}"
    batch = Batch(voter, 1, fill([change(number) for number in range(20)]))
    votes = {slot: Vote(Ballot(1, voter), Ballot(1, voter), batch) for slot in range(1, 10)}
    told = [casts(dict(list(votes.items())[:count])) for count in range(1, 10)]
    largest = [each for each in told if len(msgspec.json.encode(each)) <= MOST_BYTES][-1]
    pass_all([step(Recalled(1, Echo(1, LIFE), largest))])


def test_a_page_of_the_largest_entries_is_taken() -> None:
    entries = [Entry(f"config/c/{n}", change(n).value or {}, n, HERE) for n in range(20)]
    page, more = first_page(entries, 5_000)
    assert more
    told = msgspec.to_builtins(Synced("snapshot", 1, 20, "a" * 64, 20, entries=page, more=True))
    pass_all([Answer("r", ok=True, data=told)])


def test_the_pages_of_a_state_of_wide_letters_are_taken() -> None:
    texts = [f"{WORST}\x01" * count for count in (1, 100_000, 50_000)]
    entries = [Entry(f"config/c/{n}", {"text": text}, 1, HERE) for n, text in enumerate(texts)]
    state = State("p", epoch=1, revision=1, head="a" * 64, entries=entries)
    cut, pages = Cut(state.snapshot()), list[Snap]()
    while found := cut.page(len(pages)):
        pages.append(Snap("1.1", len(pages), 1, found[1], found[0], 1))
    pass_all(map(step, pages))


def test_a_beat_that_echoes_more_lives_than_are_remembered_is_taken() -> None:
    boots = Boots(f"{HERE}#{LIFE}", 1, LIFE)
    for number in range(1_100):
        boots.heard(f"{THERE}#{number:064}", 2**53 - 1, LIFE, Beat(2**53 - 1))
    pass_all([step(Beat(1, dict(boots.known)))])
