"""One partition's members: what counts, what is told, and what doubt does to all of them."""

from nm_bus.codec import size_of
from nm_bus.core.health import TWO_AGENTS
from nm_bus.core.ingest import FORGET_LEFT, LATEST, Ingest
from nm_bus.core.pipe import Pipe
from nm_bus.core.sequence import Novelty
from nm_bus.messages import (
    Check,
    CheckStatus,
    Connection,
    Declared,
    FollowedFeed,
    Health,
    Heartbeat,
    MemberState,
    Metrics,
    Properties,
    Running,
    Statement,
)
from nm_bus.topology import PEER_BYTES

NODE = "n1.llnl.gov"


def ingest() -> Ingest:
    core = Ingest("sn1.example", 0, "life", Pipe("heartbeat.0", limit=3.0))
    canaries(core, 0.0, 0.5)
    return core


def canaries(core: Ingest, start: float, end: float) -> None:
    for step in range(int(start * 2), int(end * 2) + 1):
        core.pipe.heard(step / 2, step / 2 + 0.01)


def beat(number: int, **more: object) -> Heartbeat:
    fields = {"incarnation": "i", "sequence": number, "interval": 5.0, "uptime": 1.0, "agent": "x"}
    return Heartbeat(**(fields | more))  # type: ignore[arg-type]


def told(statements: list[Statement]) -> dict[str, MemberState]:
    return {state.node: state for each in statements for state in each.members}


def live(core: Ingest, now: float) -> MemberState:
    return told(list(core.roster(now)))[NODE]


def test_a_heartbeat_makes_a_member_alive_and_is_told_at_once() -> None:
    core = ingest()
    assert core.heard(NODE, beat(1), sent=1.0, now=1.0) is Novelty.RESTARTED
    assert core.urgent
    assert told(list(core.changes(1.1)))[NODE].health is Health.ALIVE
    assert not core.urgent


def test_a_repeated_heartbeat_is_no_sign_of_life() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=1.0, now=1.0)
    core.heard(NODE, beat(1), sent=1.0, now=9.0)
    assert live(core, 10.0).heard == 9.0


def test_a_member_silent_for_three_intervals_is_down_within_a_second() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=0.0, now=0.0)
    canaries(core, 0.5, 15.5)
    core.tick(15.6)
    assert live(core, 15.6).health is Health.DOWN


def test_while_the_pipe_is_in_doubt_every_silent_member_is_unknown_with_the_reason() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=0.0, now=0.0)
    core.tick(60.0)
    state = live(core, 60.0)
    assert state.health is Health.UNKNOWN
    assert "canary" in state.reason


def test_a_pipe_that_comes_back_leaves_members_three_intervals_to_be_heard() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=0.0, now=0.0)
    canaries(core, 60.0, 70.0)
    core.tick(70.1)
    assert live(core, 70.1).health is Health.UNKNOWN
    canaries(core, 70.5, 76.0)
    core.tick(76.1)
    assert live(core, 76.1).health is Health.DOWN


def test_a_clock_that_is_a_day_off_changes_only_the_skew_that_is_shown() -> None:
    for skew in (-86_400.0, 86_400.0, 3_600.0):
        core = ingest()
        core.heard(NODE, beat(1), sent=1.0 + skew, now=1.0)
        state = live(core, 1.0)
        assert (state.health, state.skew) == (Health.ALIVE, skew)


def test_a_lost_connection_is_a_hint_that_a_heartbeat_takes_back() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=1.0, now=1.0)
    core.connection(Connection(NODE, connected=False, reason="connection lost"), now=1.2)
    assert live(core, 1.3).health is Health.LATE
    core.heard(NODE, beat(2), sent=2.0, now=2.0)
    assert live(core, 2.0).health is Health.ALIVE


def test_a_hint_about_somebody_unknown_makes_no_member() -> None:
    core = ingest()
    core.connection(Connection("who.example", connected=True), now=1.0)
    assert core.members == {}


def test_goodbye_is_left_and_a_new_life_is_alive() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=1.0, now=1.0)
    core.heard(NODE, beat(2, leaving=True), sent=2.0, now=2.0)
    core.connection(Connection(NODE, connected=False), now=2.1)
    assert live(core, 9.0).health is Health.LEFT
    core.heard(NODE, beat(1, incarnation="next"), sent=9.0, now=9.0)
    assert live(core, 9.0).health is Health.ALIVE


def test_who_left_is_forgotten_after_a_while_and_off_the_roster() -> None:
    core = ingest()
    core.heard(NODE, beat(1, leaving=True), sent=1.0, now=1.0)
    assert core.tick(FORGET_LEFT + 2.0) == [NODE]
    assert list(core.roster(FORGET_LEFT + 2.0))[-1].roster == ()


def test_what_is_refused_shows_that_the_sender_lives_but_is_not_understood() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=1.0, now=1.0)
    core.refuse(NODE, "invalid", now=30.0)
    assert live(core, 30.1).health is Health.UNKNOWN
    assert core.refused == 1
    core.heard(NODE, beat(2), sent=31.0, now=31.0)
    assert live(core, 31.0).health is Health.ALIVE


def test_a_changed_check_is_urgent() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=1.0, now=1.0)
    list(core.changes(1.0))
    core.heard(NODE, beat(2, checks=(Check("disk", CheckStatus.CRITICAL),)), sent=2.0, now=2.0)
    assert core.urgent
    assert told(list(core.changes(2.0)))[NODE].checks[0].status is CheckStatus.CRITICAL


def test_quiet_heartbeats_are_told_as_ages_alone() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=1.0, now=1.0)
    list(core.changes(1.0))
    core.heard(NODE, beat(2), sent=2.0, now=2.0)
    (statement,) = core.changes(2.5)
    assert (statement.members, statement.heard) == ((), {NODE: 0.5})


def test_metrics_count_once_and_old_ones_leave_the_latest_values_alone() -> None:
    core = ingest()
    assert core.sampled(NODE, Metrics("i", 1, 0.0, {"a": 1.0}), now=1.0) is Novelty.RESTARTED
    assert core.sampled(NODE, Metrics("i", 1, 0.0, {"a": 2.0}), now=2.0) is Novelty.REPEATED
    assert core.sampled(NODE, Metrics("i", 2, 3_600.0, {"a": 3.0}), now=3.0) is Novelty.NEXT
    assert live(core, 3.0).latest == {"a": 1.0}


def test_latest_values_are_bounded() -> None:
    core = ingest()
    core.sampled(NODE, Metrics("i", 1, 0.0, {f"m{n}": 1.0 for n in range(200)}), now=1.0)
    assert len(live(core, 1.0).latest) == LATEST


def test_properties_and_declarations_are_told_when_they_change_and_with_the_roster() -> None:
    core = ingest()
    core.described(NODE, Properties("i", organisation="LLNL"), now=1.0)
    core.sampled(NODE, Metrics("i", 1, 0.0, {"x": 1.0}, (Declared("x", "s"),)), now=1.0)
    first = told(list(core.changes(1.0)))[NODE]
    assert first.properties is not None
    assert first.declared == (Declared("x", "s"),)
    core.sampled(NODE, Metrics("i", 2, 0.0, {"x": 2.0}, (Declared("x", "s"),)), now=2.0)
    second = told(list(core.changes(2.0)))[NODE]
    assert (second.properties, second.declared) == (None, None)
    assert live(core, 3.0).properties == first.properties


def test_many_members_are_told_in_pages_and_the_last_carries_the_roster() -> None:
    core = ingest()
    for number in range(3_000):
        core.heard(f"n{number}.example", beat(1, agent="x" * 200), sent=1.0, now=1.0)
    told = list(core.roster(1.0))
    assert len(told) > 1
    assert sum(len(page.members) for page in told) == 3_000
    assert [page.roster is not None for page in told] == [False] * (len(told) - 1) + [True]
    assert len(told[-1].roster or ()) == 3_000


def test_the_most_talkative_members_do_not_outgrow_a_message() -> None:
    core = ingest()
    checks = tuple(Check(f"c{n}", CheckStatus.CRITICAL, "\x01" * 256) for n in range(100))
    for number in range(50):
        core.heard(f"n{number}.example", beat(1, checks=checks), sent=1.0, now=1.0)
    assert max(size_of(page) for page in core.roster(1.0)) < PEER_BYTES / 2


def test_two_agents_in_one_name_are_said_so_and_the_one_that_stays_is_taken_back() -> None:
    core = ingest()
    core.heard(NODE, beat(1, incarnation="first"), sent=1.0, now=1.0)
    core.heard(NODE, beat(1, incarnation="second"), sent=2.0, now=2.0)
    assert core.heard(NODE, beat(2, incarnation="first"), sent=6.0, now=6.0) is Novelty.RIVAL
    state = live(core, 6.0)
    assert state.health is Health.UNKNOWN
    assert TWO_AGENTS in state.reason
    for now in (11.0, 16.0, 21.0):
        core.heard(NODE, beat(int(now), incarnation="first"), sent=now, now=now)
    assert live(core, 21.0).health is Health.ALIVE


def test_with_nothing_to_say_a_statement_still_says_that_it_lives() -> None:
    assert len(list(ingest().changes(1.0))) == 1


def test_what_a_member_runs_is_told_when_it_changes_and_with_each_roster() -> None:
    core = ingest()
    core.heard(NODE, beat(1), sent=1.0, now=1.0)
    running = Running("i", (FollowedFeed("config/c", 1, 7, "0" * 64),), {"config/c/a": 3})
    core.runs(NODE, running, now=1.0)
    assert told(list(core.changes(1.1)))[NODE].running == running
    core.sampled(NODE, Metrics("i", 1, 0.0, {"host.load.1m": 1.0}), now=1.2)
    assert told(list(core.changes(1.3)))[NODE].running is None
    core.runs(NODE, running, now=1.4)
    assert told(list(core.changes(1.5))) == {}
    assert live(core, 2.0).running == running


def test_what_a_member_runs_does_not_make_its_properties_be_told_again() -> None:
    core = ingest()
    core.described(NODE, Properties("i", organisation="LLNL"), now=1.0)
    list(core.changes(1.1))
    core.runs(NODE, Running("i"), now=1.2)
    assert told(list(core.changes(1.3)))[NODE].properties is None


def clones(core: Ingest, until: int) -> None:
    """Two agents beat in turn under one certificate."""
    for number in range(1, until):
        for incarnation, now in (("one", 5.0 * number), ("two", 5.0 * number + 2.0)):
            canaries(core, now - 3.0, now)
            core.heard(NODE, beat(number, incarnation=incarnation), sent=now, now=now)


def test_a_node_whose_agents_are_two_is_not_shown_as_alive_in_between() -> None:
    core = ingest()
    clones(core, 5)
    for incarnation, now in (("one", 25.0), ("two", 27.0)):
        core.heard(NODE, beat(9, incarnation=incarnation), sent=now, now=now)
        assert (live(core, now).health, live(core, now).reason) == (
            Health.UNKNOWN,
            f"its messages are refused: {TWO_AGENTS}",
        )


def test_the_goodbye_of_one_of_two_agents_leaves_the_node_alive() -> None:
    for leaves, stays in (("one", "two"), ("two", "one")):
        core = ingest()
        clones(core, 5)
        core.heard(NODE, beat(9, incarnation=leaves, leaving=True), sent=23.0, now=23.0)
        assert live(core, 23.0).health is Health.ALIVE
        core.heard(NODE, beat(9, incarnation=stays), sent=25.0, now=25.0)
        assert (live(core, 25.0).health, live(core, 25.0).incarnation) == (Health.ALIVE, stays)


def test_one_that_goes_on_after_the_other_ones_goodbye_is_alive_at_its_next_heartbeat() -> None:
    core = ingest()
    core.heard(NODE, beat(1, incarnation="one"), sent=1.0, now=1.0)
    core.heard(NODE, beat(1, incarnation="two"), sent=2.0, now=2.0)
    core.heard(NODE, beat(2, incarnation="two", leaving=True), sent=3.0, now=3.0)
    core.heard(NODE, beat(2, incarnation="one"), sent=6.0, now=6.0)
    assert live(core, 6.0).health is Health.ALIVE
