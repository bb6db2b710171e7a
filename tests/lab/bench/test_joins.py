"""What crowds that join are judged by, how newcomers speak, and that it runs on a real broker."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nm_agents.cli.app import app
from nm_agents.member.inbox import ANSWER_WITHIN
from nm_broker.program import Program
from nm_bus.codec import encode
from nm_bus.grants import Grant
from nm_bus.identity.role import MEMBER
from nm_bus.messages import Answer, Hello
from nm_bus.testing.clock import VirtualClock
from nm_bus.topology import Binding, Exchange, Queue, Topology, request_exchange, request_queue
from nm_bus.transport.base import Delivery, Outgoing
from nm_bus.transport.memory import MemoryTransport
from nm_bus.transport.memory_broker import MemoryBroker
from nm_lab.bench.joining import EVERYTHING, ONE_COMPONENT, JoinedCrowd, JoinFigures, JoinWave
from nm_lab.bench.newcomers import Newcomers
from nm_lab.bench.tables import joins_json, joins_table

SUPERNODE, CROWD = "sn.bench.example", "crowd.bench.example"

WAVE = JoinWave(100, 0.5, 1.0, hellos=100, revisions=100, slots=4, supernode=0.1, broker=0.4)
ALL = JoinedCrowd(EVERYTHING, WAVE, replace(WAVE, members=50), messages=5_000)
FEW = replace(ALL, feeds=ONE_COMPONENT, messages=0)


def missed(*crowds: JoinedCrowd) -> list[str]:
    figures = JoinFigures(list(crowds)).measured()
    return [figure.name for figure in figures if not figure.reached]


def test_the_last_crowd_alone_is_judged() -> None:
    assert missed(ALL, FEW) == []
    assert missed(FEW, ALL) == ["updates in an inbox, of others' joins"]


def test_members_that_join_or_are_welcomed_too_slowly_miss_their_aim() -> None:
    late, alone = replace(WAVE, joined=1.3), replace(WAVE, welcomed=1.3)
    assert missed(replace(FEW, first=late)) == ["members joined per second, of 100"]
    assert missed(replace(FEW, first=alone)) == ["inboxes made per second, of 100"]


def test_what_an_inbox_was_sent_is_a_share_of_the_others_joins() -> None:
    assert (ALL.each, ALL.share) == (50.0, 1.0)
    shown = joins_json(JoinFigures([ALL, FEW]))
    assert [crowd["share_of_joins"] for crowd in shown["crowds"]] == [1.0, 0.0]
    assert joins_table(JoinFigures([ALL, FEW])).row_count == 4


def test_a_newcomer_says_hello_again_until_it_is_welcomed() -> None:
    clock = VirtualClock()
    broker = MemoryBroker(clock)
    exchange, queue = request_exchange(MEMBER), request_queue(MEMBER)
    broker.declare(Topology((Exchange(exchange),), (Queue(queue),), (Binding(exchange, queue),)))
    for user, tags in ((CROWD, ("impersonator",)), (SUPERNODE, ())):
        broker.admit(Grant(user, ".*", ".*", ".*", tags=tags))
    crowd = MemoryTransport(broker, clock, user=CROWD, random=lambda: 0.5)
    supernode = MemoryTransport(broker, clock, user=SUPERNODE, random=lambda: 0.5)
    crowd.start()
    supernode.start()
    clock.advance(1.0)
    members = Newcomers(crowd, Hello("", ONE_COMPONENT), ["a.example", "b.example"], 0.5, 5.0)
    members.begin()
    clock.advance(ANSWER_WITHIN - 1)
    assert members.hellos == 2
    clock.advance(6.0)
    assert (members.hellos, members.welcomed) == (4, 0)

    def answer(delivery: Delivery) -> None:
        ok = delivery.user_id == "a.example"
        body = encode(Answer("1", ok), source=SUPERNODE, id="1", time=clock.now())
        key, request = delivery.reply_to or "", delivery.correlation_id
        supernode.publish(Outgoing("", key, body, correlation_id=request))
        supernode.ack(delivery)

    supernode.consume(queue, answer)
    clock.advance(3 * ANSWER_WITHIN)
    assert members.welcomed == 1
    assert members.hellos > 4, "who was refused tries again"


@pytest.mark.broker
@pytest.mark.long
def test_crowds_join_a_real_supernode_and_nothing_stays(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    words = ["--members", "20", "--compared", "10", "--json"]
    shown = CliRunner().invoke(app, ["bench", "joins", *words])
    assert shown.exit_code == 0, shown.output
    crowds = json.loads(shown.stdout)["crowds"]
    assert [crowd["first"]["members"] for crowd in crowds] == [10, 10, 20]
    assert all(
        wave["revisions"] == wave["members"]
        for crowd in crowds
        for wave in (crowd["first"], crowd["others"])
    )
    assert [crowd["updates_in_an_inbox"] for crowd in crowds] == [10.0, 0.0, 0.0]
    assert not list(tmp_path.iterdir())
