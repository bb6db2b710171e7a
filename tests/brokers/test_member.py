"""The member agent as its own process on a real broker: what it sends, and what survives."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pika
import psutil
import pytest
import tomli_w

from nm_broker.testing.federation import eventually
from nm_broker.testing.sandbox import Sandbox
from nm_bus import codec
from nm_bus.identity.role import MEMBER, Role
from nm_bus.messages import (
    Answer,
    Ask,
    Event,
    Heartbeat,
    Hello,
    Message,
    Metrics,
    Properties,
    Report,
    Running,
    Sync,
)
from nm_bus.settings import Tls
from nm_bus.topology import (
    UPDATES,
    Sizes,
    heartbeat_queue,
    inbox_queue,
    inbox_topology,
    metrics_queue,
    project_topology,
    request_queue,
)
from nm_lab.samples.history import History

pytestmark = pytest.mark.broker

NODE = "n1.member.example.org"
SIZES = Sizes()
QUEUES = (heartbeat_queue(0), metrics_queue(0), request_queue(MEMBER))
MEGABYTE = 1_000_000


@dataclass
class Home:
    """The supernode's side, played by the test: it drains the queues and answers what is asked."""

    sandbox: Sandbox
    tls: Tls
    heard: list[Event[Message]] = field(default_factory=list)
    history: History = field(default_factory=History)

    def drain(self) -> None:
        with pika.BlockingConnection(self.sandbox.parameters(self.tls)) as connection:
            channel = connection.channel()
            for queue in QUEUES:
                while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
                    _, properties, body = got
                    event = codec.decode(body)
                    assert isinstance(event, Event), event
                    assert properties.user_id == event.source
                    self.heard.append(event)
                    if isinstance(event.data, Hello):
                        self.sandbox.declare(inbox_topology(NODE, SIZES, feeds=event.data.feeds))
                        self.answer(channel, properties, {"queue": inbox_queue(NODE)})
                    elif isinstance(event.data, Sync):
                        told = msgspec.to_builtins(self.history.answer(event.data))
                        self.answer(channel, properties, told)

    def answer(self, channel: Any, asked: pika.BasicProperties, data: dict[str, Any]) -> None:
        body = self.encode(Answer("a", ok=True, data=data))
        answer = pika.BasicProperties(
            correlation_id=asked.correlation_id, user_id=self.sandbox.name
        )
        channel.basic_publish("", asked.reply_to, body, answer)

    def tell(self, exchange: str, key: str, message: Message) -> None:
        with pika.BlockingConnection(self.sandbox.parameters(self.tls)) as connection:
            who = pika.BasicProperties(user_id=self.sandbox.name)
            connection.channel().basic_publish(exchange, key, self.encode(message), who)

    def encode(self, message: Message) -> bytes:
        return codec.encode(message, source=self.sandbox.name, id="t1", time=time.time())

    def wait(self, condition: Callable[[], bool], limit: float = 60.0) -> None:
        end = time.monotonic() + limit
        while True:
            self.drain()
            if condition():
                return
            assert time.monotonic() < end, [type(event.data).__name__ for event in self.heard]
            time.sleep(0.2)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event.data for event in self.heard if isinstance(event.data, kind)]

    def sequences(self) -> list[int]:
        return [metrics.sequence for metrics in self.of(Metrics)]


@dataclass
class Node:
    """One node's settings file and the processes that ran on it."""

    file: Path
    settings: dict[str, Any]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[str]:
        self.file.write_bytes(tomli_w.dumps(self.settings).encode())
        command = [sys.executable, "-m", "nm_agents.main", "member", "run"]
        process = subprocess.Popen(
            [*command, "--config", str(self.file)], stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    @property
    def spooled(self) -> int:
        """How many messages wait in its spool, by its own word."""
        state = json.loads((Path(self.settings["folder"]) / "status.json").read_text())
        return int(state["spool"]["waiting"])

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate(timeout=30)


@pytest.fixture
def home(broker: Sandbox) -> Home:
    broker.declare(project_topology(SIZES))
    return Home(broker, broker.grant(Role.SUPERNODE, broker.name))


@pytest.fixture
def node(home: Home, tmp_path: Path) -> Iterator[Node]:
    sandbox, tls = home.sandbox, home.sandbox.grant(Role.MEMBER, NODE)
    where = sandbox.address
    place = {"host": where.host, "port": where.port, "address": where.address}
    settings = {
        "project": sandbox.vhost.removeprefix("nm."),
        "node": NODE,
        "folder": str(tmp_path / "state"),
        "supernodes": [{"node": where.host, "broker": place}],
        "tls": {"ca": str(tls.ca), "certificate": str(tls.certificate), "key": str(tls.key)},
        "network": "local",
        "heartbeat": {"interval": 0.5},
        "metrics": {"interval": 0.5},
        "properties": {"organisation": "LLNL"},
    }
    node = Node(tmp_path / "member.toml", settings)
    yield node
    node.end()


def test_heartbeats_metrics_and_properties_of_this_host_arrive(home: Home, node: Node) -> None:
    node.start()
    home.wait(lambda: len(home.of(Heartbeat)) >= 3 and len(home.of(Metrics)) >= 2)
    assert home.of(Properties)[0].organisation == "LLNL"
    values = home.of(Metrics)[-1].values
    assert values["disk.percent[/]"] > 0
    assert values["host.memory.total"] > values["host.memory.used"] > 0


def test_the_next_supernode_is_taken_when_the_first_does_not_answer(home: Home, node: Node) -> None:
    away = {"node": "sn9.example.org", "broker": {"host": "localhost", "port": 9}}
    node.settings["supernodes"].insert(0, away)
    node.start()
    home.wait(lambda: len(home.of(Heartbeat)) >= 3 and bool(home.of(Hello)))


def test_what_the_supernode_asks_is_answered(home: Home, node: Node) -> None:
    node.settings["checks"] = [{"name": "hi", "command": ["/bin/echo", "hi | t=1ms"]}]
    node.start()
    home.wait(lambda: bool(home.of(Hello)))
    home.tell("", inbox_queue(NODE), Ask("r1", NODE, "check", "hi"))
    home.wait(lambda: bool(home.of(Report)))
    (report,) = home.of(Report)
    assert (report.request, report.answer["status"], report.answer["output"]) == ("r1", "ok", "hi")


def test_documents_are_fetched_and_followed_and_their_hook_runs(
    home: Home, node: Node, tmp_path: Path
) -> None:
    docs, noted = tmp_path / "docs", tmp_path / "noted"
    hook = ["/bin/sh", "-c", f'echo "$NM_BUS_DOCUMENT $NM_BUS_REVISION" >> {noted}']
    node.settings["documents"] = [{"component": "tds", "folder": str(docs), "hook": hook}]
    home.history.set("config/tds/old.xml", "old")
    node.start()
    home.wait(lambda: any("config/tds/old.xml" in r.documents for r in home.of(Running)))
    update = home.history.set("config/tds/new.xml", "new " * 16_000)
    home.tell(UPDATES, "config.tds.new.xml", update)
    home.wait(lambda: any(f.number == 2 for r in home.of(Running) for f in r.feeds))
    assert (docs / "old.xml").read_text() == "old"
    assert (docs / "new.xml").read_text() == "new " * 16_000
    eventually(
        lambda: noted.exists() and noted.read_text().endswith("new.xml 2\n"), "the hook runs"
    )


def test_a_stopped_broker_loses_no_metric_and_hears_the_fresh_ones_first(
    home: Home, node: Node
) -> None:
    node.start()
    home.wait(lambda: len(home.of(Metrics)) >= 3)
    home.sandbox.broker.stop()
    before = max(home.sequences())
    eventually(lambda: node.spooled >= 6, "metrics wait in the spool")
    home.sandbox.revive()
    home.wait(lambda: max(home.sequences()) > before + 10 and gapless(home.sequences()))
    after = [m for m in home.of(Metrics) if m.sequence > before + 1]
    assert after[0].age < 0.5
    assert after[0].sequence > before + 5
    waited = [m.sequence for m in after[1:] if m.age > 1.0]
    assert waited == sorted(waited)


def test_sigterm_says_goodbye(home: Home, node: Node) -> None:
    agent = node.start()
    home.wait(lambda: bool(home.of(Heartbeat)))
    agent.terminate()
    assert agent.wait(30) == 0
    home.drain()
    assert [beat.leaving for beat in home.of(Heartbeat)][-1]


def test_a_killed_agent_says_nothing_and_its_spool_is_sent_by_the_next(
    home: Home, node: Node
) -> None:
    agent = node.start()
    home.wait(lambda: len(home.of(Metrics)) >= 3)
    home.sandbox.broker.stop()
    eventually(lambda: node.spooled >= 6, "metrics wait in the spool")
    os.kill(agent.pid, signal.SIGKILL)
    assert agent.wait(30) == -signal.SIGKILL
    home.sandbox.revive()
    first = home.of(Metrics)[0].incarnation
    before = len([m for m in home.of(Metrics) if m.incarnation == first])
    node.start()

    def old() -> list[int]:
        return [m.sequence for m in home.of(Metrics) if m.incarnation == first]

    home.wait(lambda: len(set(old())) >= before + 4)
    assert gapless(old())
    assert not any(beat.leaving for beat in home.of(Heartbeat))


def test_a_second_agent_on_the_same_folder_is_refused(home: Home, node: Node) -> None:
    node.start()
    home.wait(lambda: bool(home.of(Heartbeat)))
    second = node.start()
    _, said = second.communicate(timeout=30)
    assert second.returncode == 2
    assert "runs on this folder; stop it" in said.splitlines()[-1]


def test_an_agent_is_small(home: Home, node: Node) -> None:
    node.settings |= {"heartbeat": {"interval": 5.0}, "metrics": {"interval": 1.0}}
    agent = node.start()
    home.wait(lambda: len(home.of(Metrics)) >= 5 and bool(home.of(Hello)))
    resident = psutil.Process(agent.pid).memory_info().rss
    assert resident < 40 * MEGABYTE


def gapless(sequences: list[int]) -> bool:
    return set(sequences) >= set(range(1, max(sequences) + 1))
