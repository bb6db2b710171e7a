import json

import msgspec
import pytest

from nm_agents.cli.alerts import Ending
from nm_bus.client.carrier import Contact, Quiet, Received
from nm_bus.codec import encode
from nm_bus.errors import ConnectionLostError
from nm_bus.messages import Alert, AlertState, Severity, Subscribe

from .conftest import SN, FakeBus, Run

NOW = 1_790_000_000.0
ALERT = Alert(
    "a1", 1, AlertState.RAISED, Severity.CRITICAL, "member-down", "data.dkrz.de",
    "data.dkrz.de is down\x1b[2J", NOW, NOW, "sn1",
)  # fmt: skip


def received(alert: Alert, supernode: str, acks: list[str]) -> Received:
    body = encode(alert, source=supernode, id=f"{supernode}-{alert.transition}", time=NOW)
    key = "critical.member-down.de.dkrz.data"
    return Received(supernode, "alerts", key, body, supernode, lambda: acks.append(supernode))


def other(number: int) -> Alert:
    return msgspec.structs.replace(ALERT, number=number)


def test_an_alert_that_two_supernodes_deliver_is_shown_once(run: Run, bus: FakeBus) -> None:
    acks: list[str] = []
    bus.script = [received(ALERT, SN[0], acks), received(ALERT, SN[1], acks)]
    said = run("alerts", "watch")
    assert said.stdout.count("is down") == 1
    assert "\x1b" not in said.stdout
    assert sorted(acks) == [SN[0], SN[1]]


def test_an_alert_is_not_shown_again_after_a_restart(run: Run, bus: FakeBus) -> None:
    bus.script = [received(ALERT, SN[0], [])]
    assert run("alerts", "watch", "--json").stdout.count("is down") == 1
    bus.again([received(ALERT, SN[1], []), received(other(2), SN[1], [])])
    lines = [json.loads(line) for line in run("alerts", "watch", "--json").stdout.splitlines()]
    assert [line["number"] for line in lines] == [2]


def test_another_subscription_sees_it_too(run: Run, bus: FakeBus) -> None:
    bus.script = [received(ALERT, SN[0], [])]
    run("alerts", "watch")
    bus.again(bus.script)
    assert run("alerts", "watch", "--name", "phone").stdout.count("is down") == 1


def test_what_could_not_be_shown_stays_in_its_queue(
    run: Run, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    acks: list[str] = []

    def closed(_alert: Alert) -> None:
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr("nm_agents.cli.alerts._as_line", closed)
        bus.script = [received(ALERT, SN[0], acks)]
        run("alerts", "watch")
    assert acks == []
    bus.again(bus.script)
    assert run("alerts", "watch").stdout.count("is down") == 1


def test_an_unreadable_alert_is_told_and_taken_out_of_the_way(run: Run, bus: FakeBus) -> None:
    acks: list[str] = []
    bus.script = [Received(SN[0], "alerts", "k", b"{", SN[0], lambda: acks.append("sn1"))]
    said = run("alerts", "watch")
    assert f"unreadable alert from {SN[0]}" in said.stderr
    assert acks == ["sn1"]


def test_a_severity_means_that_and_worse(run: Run, bus: FakeBus) -> None:
    run("alerts", "watch", "--severity", "warning", "--under", "gov.llnl", "--name", "phone")
    assert bus.asked == 3 * [
        Subscribe("phone", (Severity.WARNING, Severity.CRITICAL), ("gov.llnl",))
    ]


def test_a_name_that_no_queue_could_have_is_refused(run: Run, bus: FakeBus) -> None:
    assert run("alerts", "watch", "--name", "../x").exit_code == 2
    assert bus.asked == []


def test_once_ends_when_all_were_tried_and_nothing_more_comes() -> None:
    ending = Ending(2, None, once=True)
    assert not ending.note(Contact("sn1"), 0.0)
    assert not ending.note(Quiet(), 5.0), "sn2 was not tried yet"
    assert not ending.note(Contact("sn2", "not reached"), 6.0)
    assert not ending.note(Quiet(), 6.5)
    assert ending.note(Quiet(), 7.1)


def test_a_duration_ends_it_whatever_comes() -> None:
    ending = Ending(1, 3.0, once=False)
    assert not ending.note(Quiet(), 100.0)
    assert ending.note(ALERT, 103.0)


def test_a_watch_that_heard_no_supernode_says_so() -> None:
    ending = Ending(1, 3.0, once=False)
    ending.note(Contact("sn1", "not reached"), 0.0)
    with pytest.raises(ConnectionLostError, match="doctor"):
        ending.check()


def test_the_list_has_the_active_ones_the_most_severe_first(run: Run) -> None:
    said = run("alerts", "list")
    assert said.exit_code == 0
    assert [line.split()[0] for line in said.stdout.splitlines()] == [
        "severity", "critical", "warning"
    ]  # fmt: skip
    assert [a["alert"] for a in json.loads(run("alerts", "list", "--json").stdout)] == ["a2", "a1"]


def test_no_alert_is_said(run: Run) -> None:
    assert run("alerts", "list", "--under", "fr").stdout == "No alert is active.\n"
