"""How the agent behaves on a broker that comes, goes, blocks and refuses, on a virtual clock."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nm_bus.core.nagios import PluginVerdict, read
from nm_bus.errors import StorageError
from nm_bus.grants import grant
from nm_bus.identity.role import Role
from nm_bus.messages import (
    CheckStatus,
    Heartbeat,
    Hello,
    Metrics,
    Properties,
    Report,
    Seconds,
)
from nm_bus.storage.spool import Record, Spool
from nm_bus.transport.base import Outgoing
from nm_bus.transport.memory import MemoryTransport

from .conftest import NODE, Federation, Site

MakeSite = Callable[..., Site]
OK = PluginVerdict(CheckStatus.OK, *read("fine | time=2s"))
BAD = PluginVerdict(CheckStatus.CRITICAL, "broken")
HTTP = {"name": "http", "command": ["check_http"], "interval": 60.0}


def loads(federation: Federation) -> list[float]:
    """The measurements in the order in which they came: the n-th of a site has the value n."""
    found = [m.values.get("host.load.1m") for m in federation.messages(Metrics)]
    return [value for value in found if value is not None]


# --- heartbeats


def test_a_heartbeat_goes_each_interval_with_the_next_number(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(60.0)
    beats = federation.messages(Heartbeat)
    assert [beat.sequence for beat in beats] == list(range(1, 13))
    assert len({beat.incarnation for beat in beats}) == 1
    assert {round(b - a, 3) for a, b in pairwise(federation.times(Heartbeat))} == {5.0}


def test_a_new_life_has_a_new_incarnation_and_counts_from_one(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(20.0)
    site.kill()
    federation.heard.clear()
    site.start()
    federation.clock.advance(20.0)
    beats = federation.messages(Heartbeat)
    assert beats[0].sequence == 1
    assert beats[0].uptime < 10.0


def test_after_an_outage_one_fresh_heartbeat_comes_and_no_stale_one(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(30.0)
    federation.broker.stop()
    federation.clock.advance(600.0)
    federation.heard.clear()
    federation.broker.start()
    federation.clock.advance(12.0)
    beats = federation.messages(Heartbeat)
    assert len(beats) <= 3
    for when, beat in zip(federation.times(Heartbeat), beats, strict=True):
        start = when - beat.uptime
        assert start == pytest.approx(federation.times(Heartbeat)[0] - beats[0].uptime)


def test_a_broker_that_hangs_is_not_handed_a_pile_of_heartbeats(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(30.0)
    federation.broker.pause()
    federation.clock.advance(8.0)
    federation.heard.clear()
    federation.broker.resume()
    federation.clock.advance(1.0)
    assert len(federation.messages(Heartbeat)) <= 2


def test_a_blocked_publisher_sends_nothing_and_says_so_in_its_state(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(30.0)
    federation.broker.block("low on memory")
    federation.heard.clear()
    federation.clock.advance(120.0)
    assert federation.messages(Heartbeat) == []
    broker = state(site)["broker"]
    assert (broker["flow"], broker["reason"]) == ("blocked", "low on memory")
    federation.broker.unblock()
    federation.clock.advance(0.1)
    assert len(federation.messages(Heartbeat)) == 1
    assert state(site)["broker"]["flow"] == "up"


def test_a_check_that_changes_its_status_is_told_at_once(
    make_site: MakeSite, federation: Federation
) -> None:
    site = make_site(checks=[HTTP], heartbeat={"interval": 300.0})
    site.plugins.verdicts["check_http"] = OK
    site.start()
    federation.clock.advance(20.0)
    site.plugins.verdicts["check_http"] = BAD
    federation.clock.advance(61.0)
    told = [beat.checks[0].status for beat in federation.messages(Heartbeat)]
    assert told == ["ok", "critical"]


# --- goodbye


def test_a_member_told_to_leave_says_goodbye_and_stops(site: Site, federation: Federation) -> None:
    member = site.start()
    federation.clock.advance(20.0)
    member.leave()
    federation.clock.advance(5.0)
    beats = federation.messages(Heartbeat)
    assert [beat.leaving for beat in beats[-2:]] == [False, True]
    assert site.lives[-1][1].stopped


def test_a_goodbye_does_not_wait_for_a_broker_that_is_away(
    site: Site, federation: Federation
) -> None:
    member = site.start()
    federation.clock.advance(20.0)
    federation.broker.stop()
    member.leave()
    assert site.lives[-1][1].stopped


def test_a_goodbye_waits_only_so_long_for_a_broker_that_hangs(
    site: Site, federation: Federation
) -> None:
    member = site.start()
    federation.clock.advance(20.0)
    federation.broker.pause()
    member.leave()
    assert not site.lives[-1][1].stopped
    federation.clock.advance(7.0)
    assert site.lives[-1][1].stopped


# --- metrics and the spool


def test_metrics_come_each_interval_and_are_fresh(site: Site, federation: Federation) -> None:
    site.start()
    federation.clock.advance(95.0)
    assert loads(federation) == [1, 2, 3, 4]
    assert all(metrics.age < 0.1 for metrics in federation.messages(Metrics))
    assert [m.sequence for m in federation.messages(Metrics)] == [1, 2, 3, 4]


def test_after_an_outage_fresh_metrics_come_first_then_the_old_ones_in_order(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(31.0)
    federation.broker.stop()
    federation.clock.advance(3600.0)
    federation.heard.clear()
    federation.broker.start()
    federation.clock.run(lambda: bool(loads(federation)), 60.0)
    assert federation.messages(Metrics)[0].age < 0.1
    federation.clock.advance(60.0)
    old = [m.values["host.load.1m"] for m in federation.messages(Metrics) if m.age > 1.0]
    assert old == [n + old[0] for n in range(120)]
    assert loads(federation)[0] == old[-1] + 1


def test_spooled_metrics_tell_their_age_since_they_were_measured(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(31.0)
    federation.broker.stop()
    federation.clock.advance(300.0)
    federation.heard.clear()
    federation.broker.start()
    federation.clock.advance(20.0)
    measured = sorted(
        round(when - metrics.age)
        for when, metrics in zip(
            federation.times(Metrics), federation.messages(Metrics), strict=True
        )
    )
    assert [b - a for a, b in pairwise(measured[:-1])] == [30] * (len(measured) - 2)


def test_the_spool_drains_at_a_bounded_rate(make_site: MakeSite, federation: Federation) -> None:
    site = make_site(metrics={"interval": 1.0})
    site.start()
    federation.clock.advance(10.0)
    federation.broker.stop()
    federation.clock.advance(600.0)
    federation.heard.clear()
    federation.broker.start()
    federation.clock.run(lambda: bool(loads(federation)), 60.0)
    times = federation.times
    federation.clock.advance(60.0)
    most = max(sum(1 for t in times(Metrics) if s <= t < s + 1) for s in times(Metrics))
    assert most <= 32
    assert len(loads(federation)) > 600


def test_waiting_metrics_are_counted_in_the_heartbeat(site: Site, federation: Federation) -> None:
    site.start()
    federation.clock.advance(31.0)
    federation.broker.stop()
    federation.clock.advance(600.0)
    federation.broker.start()
    federation.heard.clear()
    federation.clock.advance(60.0)
    spooled = [beat.spooled for beat in federation.messages(Heartbeat)]
    assert spooled[0] >= 19
    assert spooled[-1] == 0


def test_a_killed_agent_s_spool_is_sent_by_its_next_life(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(31.0)
    federation.broker.stop()
    federation.clock.advance(300.0)
    site.kill()
    federation.broker.start()
    federation.clock.advance(60.0)
    federation.heard.clear()
    site.start()
    federation.clock.advance(20.0)
    lives = [metrics.incarnation for metrics in federation.messages(Metrics)]
    assert len(set(lives)) == 2
    assert lives[0] != lives[1]
    assert lives.count(lives[1]) == 10


def test_a_refused_message_is_dropped_after_three_tries_and_does_not_hold_up_the_others(
    make_site: MakeSite, federation: Federation
) -> None:
    site = make_site()
    spool = Spool.open(site.spool_file, 10**7, 86400.0)
    huge = Metrics("old", 1, 0.0, {f"x{n}[{'y' * 200}]": 1.0 for n in range(30_000)})
    spool.put(msgspec.json.encode(huge), federation.clock.now(), federation.clock.now())
    site.start(spool)
    federation.clock.advance(120.0)
    assert loads(federation)[:3] == [1, 2, 3]
    assert state(site)["spool"]["dropped"] == 1
    assert state(site)["spool"]["waiting"] == 0


def test_while_the_broker_refuses_everything_it_is_not_pressed_and_little_is_lost(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(31.0)
    federation.broker.stop()
    federation.clock.advance(3600.0)
    may = grant(Role.MEMBER, NODE)
    federation.broker.admit(replace(may, write="^(heartbeat|requests)$"))
    federation.broker.start()
    federation.clock.advance(600.0)
    federation.broker.admit(may)
    federation.clock.advance(300.0)
    assert state(site)["spool"]["waiting"] == 0
    assert state(site)["spool"]["dropped"] <= 12
    assert len(set(loads(federation))) >= 120 - 12


class FullDisk(Spool):
    """A spool on a disk that takes nothing while `full`."""

    full = False

    def put(self, body: bytes, measured: Seconds, now: Seconds) -> Record:
        if self.full:
            raise StorageError("the spool cannot be written: database or disk is full")
        return super().put(body, measured, now)


def test_on_a_full_disk_fresh_metrics_go_on_and_the_heartbeat_tells(
    site: Site, federation: Federation
) -> None:
    opened = FullDisk.open(site.spool_file, 10**7, 86400.0)
    site.start(opened)
    federation.clock.advance(31.0)
    opened.full = True
    federation.clock.advance(60.0)
    assert loads(federation) == [1, 2, 3, 4]
    last = federation.messages(Heartbeat)[-1].checks
    assert [(check.name, check.status) for check in last] == [("agent.spool", "warning")]
    assert "disk is full" in last[0].output
    opened.full = False
    federation.clock.advance(40.0)
    assert federation.messages(Heartbeat)[-1].checks[0].status == "ok"


def test_properties_come_at_the_start_at_each_connection_and_every_ten_minutes(
    make_site: MakeSite, federation: Federation
) -> None:
    site = make_site(properties={"organisation": "LLNL", "software": {"thredds": "5.5"}})
    site.start()
    federation.clock.advance(1.0)
    (first,) = federation.messages(Properties)
    assert (first.organisation, first.software) == ("LLNL", {"thredds": "5.5"})
    federation.broker.stop()
    federation.broker.start()
    federation.clock.advance(30.0)
    assert len(federation.messages(Properties)) == 2
    federation.clock.advance(600.0)
    assert len(federation.messages(Properties)) == 3


# --- what the supernode asks


def answered(federation: Federation) -> Report:
    federation.clock.advance(2.0)
    return federation.messages(Report)[-1]


def test_status_and_metrics_are_answered(site: Site, federation: Federation) -> None:
    site.start()
    federation.clock.advance(10.0)
    federation.ask("status")
    report = answered(federation)
    assert (report.request, report.node, report.ok) == ("ask-status", NODE, True)
    assert report.answer["broker"]["flow"] == "up"
    federation.ask("metrics")
    assert answered(federation).answer["values"]["host.load.1m"] == 1.0


def test_a_check_asked_for_is_run_now(make_site: MakeSite, federation: Federation) -> None:
    site = make_site(checks=[HTTP])
    site.plugins.verdicts["check_http"] = OK
    site.start()
    federation.clock.advance(20.0)
    site.plugins.verdicts["check_http"] = BAD
    federation.ask("check", "http")
    report = answered(federation)
    assert report.ok
    assert (report.answer["status"], report.answer["output"]) == ("critical", "broken")


@pytest.mark.parametrize(
    ("what", "check", "error"),
    [
        ("check", "nope", "no check is named 'nope'; there are: http"),
        ("dance", "", "cannot answer 'dance'; ask for status, metrics or check"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_sentence(
    make_site: MakeSite, federation: Federation, what: str, check: str, error: str
) -> None:
    make_site(checks=[HTTP]).start()
    federation.clock.advance(10.0)
    federation.ask(what, check)
    report = answered(federation)
    assert (report.ok, report.error) == (False, error)


def test_only_the_own_supernode_may_ask(site: Site, federation: Federation) -> None:
    member = site.start()
    federation.clock.advance(10.0)
    federation.ask("status", by=other_supernode(federation))
    federation.clock.advance(5.0)
    assert federation.messages(Report) == []
    assert member._status()["ignored"] == 1


def test_an_inbox_message_that_makes_no_sense_is_ignored(
    site: Site, federation: Federation
) -> None:
    site.start()
    federation.clock.advance(10.0)
    federation.supernode.publish(Outgoing("", f"inbox.{NODE}", b"{"))
    federation.ask("status")
    assert answered(federation).ok


def test_hello_is_said_again_until_it_is_answered(site: Site, federation: Federation) -> None:
    federation.welcoming = False
    site.start()
    federation.clock.advance(300.0)
    assert 5 <= federation.hellos <= 30
    federation.welcoming = True
    federation.clock.advance(80.0)
    federation.ask("status")
    assert answered(federation).ok


def test_hello_is_said_again_at_each_connection(site: Site, federation: Federation) -> None:
    site.start()
    federation.clock.advance(10.0)
    federation.broker.stop()
    federation.clock.advance(10.0)
    federation.broker.start()
    federation.clock.advance(10.0)
    assert federation.messages(Hello) == [federation.messages(Hello)[0]] * 2
    federation.ask("status")
    assert answered(federation).ok


# --- self-checks


def test_checks_run_one_at_a_time(make_site: MakeSite, federation: Federation) -> None:
    checks = [
        {"name": f"c{n}", "command": [f"check{n}"], "interval": 30.0, "timeout": 5.0}
        for n in range(3)
    ]
    site = make_site(checks=checks)
    site.start()
    federation.clock.advance(60.0)
    assert [run.command for run in site.plugins.runs] == [("check0",)]
    for _ in range(3):
        site.plugins.runs[-1].end(OK)
    assert [run.command[0] for run in site.plugins.runs[:3]] == ["check0", "check1", "check2"]


def test_performance_data_becomes_declared_metrics(
    make_site: MakeSite, federation: Federation
) -> None:
    site = make_site(checks=[HTTP])
    site.plugins.verdicts["check_http"] = OK
    site.start()
    federation.clock.advance(20.0)
    (metrics,) = [m for m in federation.messages(Metrics) if "check.http.time" in m.values]
    assert metrics.values == {"check.http.time": 2.0}
    assert [(d.name, d.unit, d.kind) for d in metrics.declared] == [
        ("check.http.time", "s", "gauge")
    ]


def test_a_run_that_never_ends_is_not_started_a_second_time(
    make_site: MakeSite, federation: Federation
) -> None:
    site = make_site(checks=[HTTP])
    site.start()
    federation.clock.advance(20.0)
    stuck = site.plugins.runs[-1]
    stuck.end(BAD)
    stuck.gone = False
    federation.clock.advance(61.0)
    assert len(site.plugins.runs) == 1
    (check,) = federation.messages(Heartbeat)[-1].checks
    assert check.output == "the run before this one was killed and does not end"


# --- its state file


def state(site: Site) -> Any:
    return json.loads((site.settings.folder / "status.json").read_text())


def test_the_state_file_tells_that_the_agent_has_ended(site: Site, federation: Federation) -> None:
    member = site.start()
    federation.clock.advance(10.0)
    assert state(site)["running"]
    member.close()
    site.lives.clear()
    assert not state(site)["running"]
    assert not list(Path(site.settings.folder).glob(".*.new"))


def other_supernode(federation: Federation) -> MemoryTransport:
    federation.broker.admit(grant(Role.SUPERNODE, "sn2.example.org"))
    other = MemoryTransport(
        federation.broker, federation.clock, user="sn2.example.org", random=lambda: 0.5
    )
    other.start()
    federation.clock.advance(1.0)
    return other


# --- drop-in files


def drop(site: Site, body: bytes) -> Path:
    assert site.settings.drop_in is not None
    file = site.settings.drop_in.folder / "thredds.json"
    file.write_bytes(body)
    now = site.federation.clock.now()
    os.utime(file, (now, now))
    return file


def test_a_dropped_file_is_sent_and_removed(
    make_site: MakeSite, federation: Federation, tmp_path: Path
) -> None:
    (tmp_path / "drop").mkdir()
    site = make_site(drop_in={"folder": str(tmp_path / "drop")})
    site.start()
    federation.clock.advance(5.0)
    drop(site, b'{"tds.requests": 12}')
    federation.clock.advance(60.0)
    assert [m.values for m in federation.messages(Metrics) if "tds.requests" in m.values] == [
        {"tds.requests": 12.0}
    ]
    assert list((tmp_path / "drop").iterdir()) == []


def test_a_file_dropped_during_an_outage_waits_in_the_spool_with_its_age(
    make_site: MakeSite, federation: Federation, tmp_path: Path
) -> None:
    (tmp_path / "drop").mkdir()
    site = make_site(drop_in={"folder": str(tmp_path / "drop")})
    site.start()
    federation.clock.advance(5.0)
    federation.broker.stop()
    drop(site, b'{"tds.requests": 12}')
    federation.clock.advance(300.0)
    assert list((tmp_path / "drop").iterdir()) == []
    federation.broker.start()
    federation.clock.advance(20.0)
    (late,) = [m for m in federation.messages(Metrics) if "tds.requests" in m.values]
    assert 290.0 < late.age < 330.0


def test_on_a_full_disk_a_dropped_file_stays_until_the_broker_has_it(
    make_site: MakeSite, federation: Federation, tmp_path: Path
) -> None:
    (tmp_path / "drop").mkdir()
    site = make_site(drop_in={"folder": str(tmp_path / "drop")})
    spool = FullDisk.open(site.spool_file, 10**7, 86400.0)
    site.start(spool)
    federation.clock.advance(5.0)
    spool.full = True
    federation.broker.stop()
    drop(site, b'{"tds.requests": 12}')
    federation.clock.advance(120.0)
    assert len(list((tmp_path / "drop").iterdir())) == 1
    federation.broker.start()
    federation.clock.advance(60.0)
    assert list((tmp_path / "drop").iterdir()) == []
    assert [m.values for m in federation.messages(Metrics)].count({"tds.requests": 12.0}) == 1


def test_what_cannot_be_measured_is_a_check_that_says_so_and_heartbeats_go_on(
    site: Site, federation: Federation
) -> None:
    site.unmeasured = {"uptime": "cannot be read: no btime"}
    site.start()
    federation.clock.advance(40.0)

    check = federation.messages(Heartbeat)[-1].checks[-1]
    assert (check.name, check.status) == ("agent.metrics", CheckStatus.WARNING)
    assert check.output == "uptime: cannot be read: no btime"
    site.unmeasured = {}
    federation.clock.advance(40.0)
    assert federation.messages(Heartbeat)[-1].checks[-1].status is CheckStatus.OK


def test_a_supernode_whose_host_has_another_name_than_it_is_heard_and_nobody_else(
    make_site: Callable[..., Site], federation: Federation
) -> None:
    make_site().start()
    federation.clock.advance(5.0)
    federation.ask("status", by=other_supernode(federation))
    federation.clock.advance(5.0)
    assert federation.messages(Report) == []
    federation.ask("status")
    federation.clock.advance(5.0)
    assert answered(federation).ok
