"""One view of the federation from words that come twice, late, in any order, or not at all."""

import random
from dataclasses import dataclass

import pytest

from nm_bus.core.view import View
from nm_bus.messages import (
    BrokerState,
    Check,
    CheckStatus,
    FollowedFeed,
    Health,
    LinkState,
    MemberState,
    PipeState,
    Properties,
    Running,
    Statement,
    Supernode,
)

HERE, THERE, THIRD = "sn1.example", "sn2.example", "sn3.example"
PIPE = PipeState("heartbeat.0", proven=True)


def state(node: str, health: Health = Health.ALIVE, heard: float = 1.0) -> MemberState:
    return MemberState(node, health, heard=heard)


def statement(
    sequence: int,
    *members: MemberState,
    origin: str = THERE,
    incarnation: str = "life",
    **more: object,
) -> Statement:
    return Statement(origin, 0, incarnation, sequence, PIPE, members, **more)  # type: ignore[arg-type]


def supernode(origin: str, sequence: int, **more: object) -> Supernode:
    fields = {"started": 0.0, "sent": 0.0, "agent": "x", "broker": BrokerState("up")}
    return Supernode(origin, "life", sequence, **(fields | more))  # type: ignore[arg-type]


def view() -> View:
    return View(HERE, limit=10.0)


def healths(seen: View, now: float) -> dict[str, Health]:
    return {member.state.node: member.state.health for member in seen.members(now)}


def test_a_member_is_known_by_its_homes_word() -> None:
    seen = view()
    seen.stated(statement(1, state("n1")), now=5.0)
    member = seen.member("n1", now=6.0)
    assert member is not None
    assert (member.home, member.told, member.state.heard) == (THERE, 1.0, 2.0)


def test_repeating_a_statement_changes_nothing() -> None:
    seen = view()
    seen.stated(statement(1, state("n1", Health.DOWN)), now=5.0)
    seen.stated(statement(2, state("n1", Health.ALIVE)), now=6.0)
    seen.stated(statement(1, state("n1", Health.DOWN)), now=7.0)
    assert healths(seen, 7.0) == {"n1": Health.ALIVE}


def test_a_late_statement_still_tells_what_no_later_one_did() -> None:
    seen = view()
    seen.stated(statement(2, state("n2")), now=5.0)
    seen.stated(statement(1, state("n1"), state("n2", Health.DOWN)), now=6.0)
    assert healths(seen, 6.0) == {"n1": Health.ALIVE, "n2": Health.ALIVE}


def test_a_roster_drops_who_is_not_on_it_unless_told_of_later() -> None:
    seen = view()
    seen.stated(statement(1, state("gone"), state("stays")), now=1.0)
    seen.stated(statement(3, state("new")), now=2.0)
    seen.stated(statement(2, roster=("stays",)), now=3.0)
    assert set(healths(seen, 3.0)) == {"stays", "new"}


def test_a_restarted_speaker_is_believed_and_its_old_life_is_not() -> None:
    seen = view()
    seen.stated(statement(9, state("n1", Health.DOWN)), now=1.0)
    seen.stated(statement(1, state("n1", Health.ALIVE), incarnation="next"), now=2.0)
    seen.stated(statement(10, state("n1", Health.DOWN)), now=3.0)
    assert healths(seen, 3.0) == {"n1": Health.ALIVE}


def test_ages_of_quiet_members_keep_them_fresh() -> None:
    seen = view()
    seen.stated(statement(1, state("n1")), now=5.0)
    seen.stated(statement(2, heard={"n1": 0.5, "stranger": 0.1}), now=15.0)
    member = seen.member("n1", now=15.0)
    assert member is not None
    assert member.state.heard == 0.5
    assert seen.member("stranger", now=15.0) is None


def test_members_of_a_silent_supernode_are_unknown_with_the_reason_not_down() -> None:
    seen = view()
    seen.stated(statement(1, state("n1"), state("n2", Health.LEFT)), now=5.0)
    member = seen.member("n1", now=15.1)
    assert member is not None
    assert member.state.health is Health.UNKNOWN
    assert member.state.reason == f"no word from supernode {THERE} for over 10 s"
    assert healths(seen, 15.1)["n2"] is Health.LEFT


def test_members_of_an_own_process_that_is_gone_are_unknown() -> None:
    seen = view()
    seen.stated(statement(1, state("n1"), origin=HERE), now=5.0)
    seen.heard(HERE, 20.0)
    assert healths(seen, 20.0) == {"n1": Health.UNKNOWN}


def test_a_member_that_moved_is_known_by_who_heard_it_last() -> None:
    seen = view()
    seen.stated(statement(1, state("n1", Health.DOWN, heard=60.0)), now=100.0)
    seen.stated(statement(1, state("n1", heard=1.0), origin=THIRD), now=100.0)
    assert seen.home("n1") == THIRD
    assert healths(seen, 100.0) == {"n1": Health.ALIVE}


def test_what_a_word_does_not_repeat_is_as_it_was() -> None:
    seen = view()
    whole = MemberState("n1", Health.ALIVE, properties=Properties("i", "LLNL"), declared=())
    seen.stated(statement(1, whole), now=1.0)
    seen.stated(statement(2, state("n1", Health.DOWN)), now=2.0)
    member = seen.member("n1", now=2.0)
    assert member is not None
    assert member.state.properties == Properties("i", "LLNL")
    assert member.state.health is Health.DOWN


def test_a_supernode_that_had_no_time_to_speak_is_expected_not_silent() -> None:
    seen = view()
    seen.expect(THERE, now=0.0)
    assert seen.is_expected(THERE, now=9.0)
    assert not seen.is_expected(THERE, now=11.0)
    assert "not been heard yet" in seen.silence(THERE, now=11.0)


def test_the_newest_word_of_a_supernode_counts() -> None:
    seen = view()
    seen.described(supernode(THERE, 2, partitions=2), now=1.0)
    seen.described(supernode(THERE, 1, partitions=1), now=2.0)
    known = seen.supernodes[THERE].state
    assert known is not None
    assert known.partitions == 2


def test_a_supernode_is_heard_elsewhere_only_by_one_that_is_heard() -> None:
    link = LinkState(THIRD, THERE, "control", "running")
    seen = view()
    seen.described(supernode(THERE, 1, incoming=(link,)), now=1.0)
    assert seen.heard_elsewhere(THIRD, now=5.0)
    assert not seen.heard_elsewhere(THIRD, now=50.0)


@dataclass
class Member:
    """A member that changes at random, for the soup below."""

    health: Health = Health.ALIVE
    checks: tuple[Check, ...] = ()


@pytest.mark.parametrize("seed", range(60))
def test_after_a_roster_every_view_is_the_same_whatever_the_links_did(seed: int) -> None:
    draw = random.Random(seed)
    members = {f"n{n}": Member() for n in range(6)}
    said: list[Statement] = []
    for sequence in range(1, 40):
        node = draw.choice(list(members))
        members[node] = Member(
            draw.choice(list(Health)), (Check("c", draw.choice([*CheckStatus])),)
        )
        told = MemberState(node, members[node].health, heard=0.0, checks=members[node].checks)
        said.append(statement(sequence, told))
        if draw.random() < 0.1 and len(members) > 1:
            del members[draw.choice(list(members))]
    everyone = tuple(
        MemberState(node, m.health, heard=0.0, checks=m.checks) for node, m in members.items()
    )
    said.append(statement(40, *everyone, roster=tuple(members)))
    views = []
    for _ in range(2):
        lossy = [each for each in said[:-1] if draw.random() < 0.7]
        soup = [*lossy, *draw.sample(lossy, len(lossy) // 2), said[-1]]
        draw.shuffle(soup)
        seen = view()
        for each in soup:
            seen.stated(each, now=1.0)
        views.append({m.state.node: (m.state.health, m.state.checks) for m in seen.members(1.0)})
    truth = {node: (m.health, m.checks) for node, m in members.items()}
    assert views == [truth, truth]


def test_a_view_is_complete_when_each_process_has_told_all_its_members_since() -> None:
    here = view()
    here.stated(statement(1, state("n1"), roster=("n1",)), 10.0)
    assert here.is_complete(THERE, 1, since=5.0)
    assert not here.is_complete(THERE, 1, since=11.0), "that was in its last life"
    assert not here.is_complete(THERE, 2, since=5.0), "the other process has not spoken"
    here.stated(statement(1, state("n1"), incarnation="next"), 12.0)
    assert not here.is_complete(THERE, 1, since=5.0), "its next life has not told all"


def test_a_process_that_is_no_more_is_forgotten_when_the_others_have_told_all() -> None:
    here = view()
    former = Statement(THERE, 1, "life", 1, PIPE, (state("n2"),), roster=("n2",))
    here.stated(former, 10.0)
    here.stated(statement(1, state("n1"), roster=("n1",)), 10.0)
    here.described(supernode(THERE, 1, partitions=1), 12.0)
    assert here.member("n2", 12.0) is not None, "it has spoken just now"
    here.stated(statement(1, state("n1"), state("n2"), incarnation="next"), 30.0)
    here.described(supernode(THERE, 2, partitions=1), 31.0)
    assert (THERE, 1) in here.streams, "the other has not told all yet"
    here.stated(statement(2, incarnation="next", roster=("n1", "n2")), 40.0)
    here.described(supernode(THERE, 3, partitions=1), 41.0)
    assert (THERE, 1) not in here.streams
    assert here.member("n2", 41.0) is not None


def test_what_a_member_runs_stays_known_until_it_is_told_again() -> None:
    seen = view()
    running = Running("i", (FollowedFeed("config/c", 1, 7, "0" * 64),), {"config/c/a": 3})
    seen.stated(statement(1, MemberState("n1", Health.ALIVE, running=running)), now=5.0)
    seen.stated(statement(2, state("n1")), now=6.0)
    member = seen.member("n1", now=6.0)
    assert member is not None
    assert member.state.running == running


def test_a_supernode_outside_has_no_members_and_is_shown_only_while_it_is_configured() -> None:
    seen = view()
    for origin in (THERE, THIRD):
        seen.stated(statement(1, state(f"n.{origin}"), origin=origin), now=1.0)
    seen.settle({HERE}, {HERE, THERE})
    seen.stated(statement(2, state(f"n.{THERE}"), origin=THERE), now=2.0)
    assert healths(seen, 2.0) == {}
    assert [each.node for each in seen.overview(2.0)] == [THERE]
    seen.settle({HERE, THERE}, {HERE, THERE})
    seen.stated(statement(3, state(f"n.{THERE}"), origin=THERE), now=3.0)
    assert set(healths(seen, 3.0)) == {f"n.{THERE}"}


def test_who_left_the_project_is_not_shown_as_alive() -> None:
    seen = view()
    seen.gone = lambda node: "an administrator removed it" if node == "n1" else ""
    seen.stated(statement(1, state("n1")), now=1.0)
    member = seen.member("n1", now=1.0)
    assert member is not None
    assert (member.state.health, member.state.reason) == (
        Health.LEFT,
        "an administrator removed it",
    )


# --- what changed


def test_only_a_member_of_which_something_else_is_said_has_changed() -> None:
    seen = view()
    seen.stated(statement(1, state("n1"), state("n2")), now=1.0)
    assert set(seen.take_changed(1.0)) == {"n1", "n2"}
    seen.stated(statement(2, state("n1", heard=2.0), state("n2", Health.DOWN)), now=2.0)
    assert seen.take_changed(2.0) == ["n2"]
    assert seen.take_changed(2.0) == []


def test_quiet_members_that_are_heard_have_not_changed_unless_they_moved() -> None:
    seen = view()
    seen.stated(statement(1, state("n1")), now=1.0)
    seen.stated(statement(1, state("n1", heard=9.0), origin=THIRD), now=1.0)
    seen.take_changed(1.0)
    seen.stated(statement(2, heard={"n1": 0.1}), now=2.0)
    assert seen.take_changed(2.0) == []
    seen.stated(statement(2, heard={"n1": 0.1}, origin=THIRD), now=3.0)
    assert (seen.take_changed(3.0), seen.home("n1")) == (["n1"], THIRD)


def test_the_members_of_a_stream_that_becomes_silent_or_speaks_again_have_changed() -> None:
    seen = view()
    seen.stated(statement(1, state("n1")), now=1.0)
    seen.take_changed(1.0)
    assert seen.take_changed(11.0) == []
    assert seen.take_changed(11.5) == ["n1"]
    assert seen.take_changed(12.0) == []
    seen.stated(statement(2), now=12.0)
    assert seen.take_changed(12.0) == ["n1"]


def test_a_member_that_is_dropped_or_left_by_the_ledger_has_changed() -> None:
    seen = view()
    seen.stated(statement(1, state("n1"), state("n2"), state("n3", Health.DOWN)), now=1.0)
    seen.take_changed(1.0)
    seen.stated(statement(2, roster=("n2", "n3")), now=2.0)
    seen.concerns("n2")
    assert set(seen.take_changed(2.0)) == {"n1", "n2"}
    seen.settle({HERE}, {HERE})
    assert set(seen.take_changed(3.0)) == {"n2", "n3"}
    assert seen.home("n2") is None


def test_of_two_equally_fresh_words_every_view_takes_the_same() -> None:
    views = view(), view()
    for seen, order in zip(views, ((THERE, THIRD), (THIRD, THERE)), strict=True):
        for origin in order:
            seen.stated(statement(1, state("n1"), origin=origin), now=1.0)
    assert views[0].home("n1") == views[1].home("n1")
