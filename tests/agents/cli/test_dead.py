"""`nm-bus dead ...`, with a management API that answers from a list."""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nm_agents.cli import dead
from nm_broker.answers import Message
from nm_broker.testing.sandbox import Sandbox
from nm_bus import codec
from nm_bus.topology import DEAD, Queue, Topology

from .conftest import EVIL, NOW, Run


@dataclass
class Api:
    """A queue of refused messages, and what was asked of it."""

    queue: list[bytes]
    asked: list[Any] = field(default_factory=list)

    def depths(self, _vhost: str) -> dict[str, int]:
        return {"dead": len(self.queue)}

    def post(self, _kind: object, body: Any, *path: str) -> list[Message]:
        self.asked.append((("POST", *path), body))
        oldest = self.queue[: body["count"]]
        return [Message(payload=base64.b64encode(one).decode()) for one in oldest]

    def delete(self, *path: str) -> None:
        self.asked.append((("DELETE", *path), None))
        self.queue.clear()


def refused(who: str) -> bytes:
    record = codec.quarantine(
        EVIL.encode(), reason="not-json", detail=EVIL, who=who, exchange="heartbeat", key="gov.x"
    )
    return codec.encode(record, source="sn1.llnl.gov", id="a", time=NOW)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api([refused("one.example"), refused("two.example"), b"\xff no record"])
    settings = SimpleNamespace(project="demo", node="sn1.llnl.gov")
    monkeypatch.setattr(dead, "opened", lambda _config, _timeout: (settings, made))
    return made


CONFIG = ("--config", "supernode.toml")


def test_the_list_says_who_sent_what_and_takes_nothing(run: Run, kept: Api) -> None:
    said = run("dead", "list", *CONFIG)
    assert said.exit_code == 0
    assert "one.example" in said.stdout
    assert "not-json" in said.stdout
    assert "not a record of nm-bus" in said.stdout
    assert "\x1b" not in said.stdout
    path, body = kept.asked[0]
    assert path == ("POST", "queues", "nm.demo", "dead", "get")
    assert (body["ackmode"], body["count"]) == ("ack_requeue_true", 50)
    assert len(kept.queue) == 3


def test_the_list_is_bounded(run: Run, kept: Api) -> None:
    told = json.loads(run("dead", "list", *CONFIG, "--limit", "1", "--json").stdout)
    assert [one["record"]["who"] for one in told] == ["one.example"]
    assert run("dead", "list", *CONFIG, "--limit", "100000").exit_code == 2
    assert kept.asked[0][1]["truncate"] == dead.LONGEST


def test_one_is_shown_whole(run: Run, kept: Api) -> None:
    said = run("dead", "show", "2", *CONFIG)
    assert "two.example" in said.stdout
    assert "heartbeat" in said.stdout
    assert "\x1b" not in said.stdout
    assert run("dead", "show", "3", *CONFIG).exit_code == 0
    assert run("dead", "show", "4", *CONFIG).exit_code == 2
    assert len(kept.queue) == 3


def test_an_empty_quarantine_is_said(run: Run, kept: Api) -> None:
    kept.queue.clear()
    assert run("dead", "list", *CONFIG).stdout == "no refused message is kept here\n"


def test_nothing_is_thrown_away_without_a_yes(run: Run, kept: Api) -> None:
    assert run("dead", "purge", *CONFIG).exit_code == 2
    said = run("dead", "purge", *CONFIG, "--dry-run")
    assert "about 3 refused messages of sn1.llnl.gov will be lost" in said.stdout
    assert len(kept.queue) == 3
    assert run("dead", "purge", *CONFIG, "--yes").exit_code == 0
    assert kept.queue == []
    assert kept.asked[-1][0] == ("DELETE", "queues", "nm.demo", "dead", "contents")


def test_settings_that_are_not_there_are_one_sentence(run: Run, tmp_path: Path) -> None:
    said = run("dead", "list", "--config", str(tmp_path / "none.toml"))
    assert said.exit_code == 2
    assert said.stderr.count("\n") == 1


@pytest.mark.broker
def test_a_real_broker_goes_on_holding_what_was_looked_at(broker: Sandbox) -> None:
    broker.declare(Topology((), (Queue(DEAD),), ()))
    api, where = broker.broker.api, broker.vhost
    for who in ("one.example", "two.example"):
        payload = {"payload": base64.b64encode(refused(who)).decode()}
        body = {"properties": {}, "routing_key": "dead", "payload_encoding": "base64", **payload}
        api.call("POST", "exchanges", where, "amq.default", "publish", body=body)
    for _ in range(2):
        found = [one.record.who for one in dead.kept(api, where, 5) if one.record]
        assert found == ["one.example", "two.example"]
    api.delete("queues", where, "dead", "contents")
    assert dead.kept(api, where, 5) == []
