"""The commands against a federation of real brokers and processes."""

import json
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pika
import pytest

from nm_broker.program import Program
from nm_bus.messages import domain_key
from nm_bus.topology import vhost
from nm_lab.federation.building import Federation, Plan

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

SN1, SN2 = "sn1.llnl.gov", "sn2.dkrz.de"
STEADY, HURT = "n1.llnl.gov", "n2.llnl.gov"
ENOUGH = 90.0
"""Seconds in which anything that is waited for has come, on the slowest machine."""


@pytest.fixture(scope="module")
def federation(program: Program) -> Iterator[Federation]:
    folder = Path(tempfile.mkdtemp(prefix="nm-bus-cli-"))
    check = {"name": "broken", "command": ["sh", "-c", "echo broken; exit 2"], "interval": 1.0}
    quick = {"heartbeat": {"interval": 1.0}, "metrics": {"interval": 1.0}}
    more: dict[str, dict[str, Any]] = {STEADY: {**quick, "checks": [check]}, HURT: quick}
    homes = {STEADY: SN1, HURT: SN2}
    made = Federation(Plan(folder, "cli", (SN1, SN2), homes, more=more, program=program))
    try:
        made.build()
        made.start_brokers()
        for supernode in (SN1, SN2):
            made.start_supernode(supernode)
        for member in homes:
            made.start_member(member)
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def command(federation: Federation, *words: str) -> list[str]:
    config = ("--config", str(federation.administrator))
    return [sys.executable, "-m", "nm_agents.main", *words, *config]


def run(federation: Federation, *words: str) -> "subprocess.CompletedProcess[str]":
    line = command(federation, *words)
    return subprocess.run(line, capture_output=True, text=True, timeout=ENOUGH, check=False)


def answered(federation: Federation, *words: str) -> Any:
    said = run(federation, *words, "--json")
    return json.loads(said.stdout) if said.returncode == 0 else {}


def eventually(federation: Federation, *words: str, holds: Callable[[Any], bool]) -> Any:
    """What a command says once that is as it should be."""
    deadline, said = time.monotonic() + ENOUGH, None
    while time.monotonic() < deadline:
        said = answered(federation, *words)
        if holds(said):
            return said
        time.sleep(0.5)
    raise AssertionError(f"not yet as it should be: {said}")


def is_settled(status: Any) -> bool:
    running = [link["state"] for link in status.get("links", ())].count("running")
    return status.get("counts") == {"alive": 2} and running == 4


def is_measured(detail: Any) -> bool:
    state = detail.get("member", {}).get("state", {})
    return "host.load.1m" in state.get("latest", {}) and bool(state.get("checks"))


@pytest.fixture(scope="module")
def settled(federation: Federation) -> Federation:
    """The federation once all of it is up."""
    eventually(federation, "status", holds=is_settled)
    return federation


def test_status_shows_the_whole(settled: Federation) -> None:
    said = run(settled, "status")
    assert said.returncode == 0, said.stderr
    assert all(name in said.stdout for name in (SN1, SN2, STEADY, HURT))
    assert "● 2 alive" in said.stdout


def test_top_and_ask_reach_the_member(settled: Federation) -> None:
    eventually(settled, "top", STEADY, holds=is_measured)
    said = run(settled, "ask", STEADY, "check", "broken")
    assert said.returncode == 1, said.stderr
    assert "critical" in said.stdout
    assert run(settled, "ask", STEADY, "check", "none").returncode == 2


def test_doctor_finds_the_way_open_to_each_supernode(settled: Federation) -> None:
    said = run(settled, "doctor", "--json")
    found = json.loads(said.stdout)
    assert [f for f in found if f["level"] == "fail"] == []
    assert [f["level"] for f in found if f["about"] == "login"] == ["ok", "ok"]


def test_tail_shows_live_messages_of_every_supernode(settled: Federation) -> None:
    line = command(settled, "tail", "heartbeat", "--json")
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        homes = set()
        for text in tail.stdout:
            homes.add(json.loads(text)["supernode"])
            if homes == {SN1, SN2}:
                break
        tail.stdout.close()
        assert tail.wait(ENOUGH) == 0


def test_tail_goes_on_after_messages_that_announce_what_they_are_not(settled: Federation) -> None:
    line = command(settled, "tail", "heartbeat", "gov.llnl.#", "--json")
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True) as tail:
        assert tail.stdout is not None
        tail.stdout.readline()
        publish_oddities(settled)
        told: list[str] = []
        while told.count("") < 3 or told[-1] == "":
            told.append(json.loads(tail.stdout.readline())["type"])
        tail.terminate()
        assert "Traceback" not in tail.communicate(timeout=ENOUGH)[1]


def publish_oddities(federation: Federation) -> None:
    """As a member: headers that make a client library decode or decompress what is not so."""
    pki, broker = federation.plan.folder / "pki", federation.brokers[SN1]
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / f"{STEADY}.crt", pki / f"{STEADY}.key")
    parameters = pika.ConnectionParameters(
        broker.address,
        broker.amqps_port,
        vhost(federation.plan.project),
        pika.credentials.ExternalCredentials(),
        ssl_options=pika.SSLOptions(context, SN1),
    )
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        for said in (
            pika.BasicProperties(content_encoding="utf-8"),
            pika.BasicProperties(headers={"compression": "nonsense"}),
            pika.BasicProperties(headers={"compression": "application/x-gzip"}),
        ):
            channel.basic_publish("heartbeat", domain_key(STEADY), b"odd", said)


def test_an_alert_is_told_once_whichever_supernodes_bring_it(settled: Federation) -> None:
    run(settled, "alerts", "watch", "--once")
    settled.member(HURT).kill()
    settled.member(HURT).wait()
    told = [*watched(settled, until_told=True), *watched(settled, until_told=False)]
    is_critical = run(settled, "status", "--check").returncode == 2
    settled.start_member(HURT)  # the others want it alive, in whatever order they come
    eventually(settled, "status", holds=is_settled)
    assert [alert["subject"] for alert in told if alert["kind"] == "member-down"] == [HURT]
    assert is_critical


def watched(federation: Federation, *, until_told: bool) -> list[Any]:
    """What one more watch shows, or as many as it takes to be told of a member that is down."""
    told: list[Any] = []
    deadline = time.monotonic() + ENOUGH
    while time.monotonic() < deadline:
        said = run(federation, "alerts", "watch", "--once", "--json")
        told += map(json.loads, said.stdout.splitlines())
        if not until_told or any(alert["kind"] == "member-down" for alert in told):
            return told
    raise AssertionError(f"no alert of a member that is down: {told}")
