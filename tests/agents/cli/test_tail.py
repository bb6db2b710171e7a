import base64
import json

import pytest

from nm_agents.cli.screen.message_line import message_line
from nm_bus.client.carrier import Received
from nm_bus.codec import encode
from nm_bus.messages import (
    Alert,
    AlertState,
    Check,
    CheckStatus,
    Heartbeat,
    Message,
    Metrics,
    Quarantined,
    Severity,
    Tail,
)

from .conftest import SN, FakeBus, Run

NODE = "n1.llnl.gov"
NOW = 1_790_000_000.0


def received(body: bytes | Message, acks: list[str] | None = None) -> Received:
    if not isinstance(body, bytes):
        body = encode(body, source=NODE, id="1", time=NOW)
    ack = (lambda: None) if acks is None else (lambda: acks.append("acked"))
    return Received(SN[0], "heartbeat", "gov.llnl.n1", body, NODE, ack)


BEAT = Heartbeat("i", 7, 5.0, 3600.0, "0.1.0", (Check("disk", CheckStatus.CRITICAL),))
REFUSED = Quarantined(
    "invalid", "data.sequence: -1 is less than 1", NODE, "heartbeat", "gov.llnl.n1", 99, "a" * 64,
    base64.b64encode(b'{"a": "\x1b[2J\x07"}').decode(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("message", "summary"),
    [
        (BEAT, "beat 7, up 60 min, disk critical"),
        (
            Metrics("i", 1, 40.0, {"load.1": 0.5, "cpu.used": 12.5}),
            "cpu.used 12.5, load.1 0.5, 40 s old",
        ),
        (
            Alert(
                "a", 1, AlertState.RAISED, Severity.CRITICAL, "member-down", NODE,
                "silent", NOW, NOW, "sn1",
            ),
            "raised critical member-down on n1.llnl.gov: silent",
        ),
    ],
)  # fmt: skip
def test_a_message_is_one_line(message: Message, summary: str) -> None:
    assert (
        message_line(received(message), NOW).line() == f"14:13:20  gov.llnl.n1  {NODE}  {summary}"
    )


def test_a_refused_message_shows_why_and_its_first_bytes_harmlessly() -> None:
    line = message_line(received(REFUSED), NOW).line()
    assert "data.sequence: -1 is less than 1" in line
    assert '{"a": "·[2J·"}' in line
    assert line.isprintable()


def test_an_unreadable_message_is_shown_too() -> None:
    said = message_line(received(b"\x1b[31m not json"), NOW)
    assert "unreadable (not-json)" in said.summary
    assert said.summary.endswith("·[31m not json")
    assert said.line().isprintable()


def test_lines_and_notes_go_to_different_places(run: Run, bus: FakeBus) -> None:
    acks: list[str] = []
    bus.refusing = {SN[1]: "refused\x1b"}
    bus.script = [received(BEAT, acks)]
    said = run("tail", "heartbeat")
    assert said.stdout.count("\n") == 1
    assert sorted(said.stderr.splitlines()) == [
        f"# hearing {SN[0]}",
        f"# hearing {SN[2]}",
        f"# not hearing {SN[1]}: {SN[1]}: refused·",
    ]
    assert acks == ["acked"]
    assert bus.asked == 3 * [Tail("heartbeat", "#")]


def test_json_is_a_line_a_message(run: Run, bus: FakeBus) -> None:
    bus.script = [received(BEAT), received(b"nonsense")]
    lines = [
        json.loads(line) for line in run("tail", "heartbeat", "gov.#", "--json").stdout.splitlines()
    ]
    assert [line["type"] for line in lines] == ["nm.heartbeat.v1", ""]
    assert lines[0]["message"]["data"]["sequence"] == 7


def test_only_what_can_be_watched_can_be_asked_for(run: Run) -> None:
    assert run("tail", "amq.topic").exit_code == 2
