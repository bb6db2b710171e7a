"""What `status` and `doctor` say of the ledger."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from nm_agents.cli.doctor.finding import Finding, Level
from nm_agents.cli.doctor.ledger import examine_ledger, judge_ledger, settled_feeds
from nm_agents.cli.screen.console import screen, show
from nm_agents.cli.screen.ledger import quorum
from nm_agents.cli.screen.status import status_page
from nm_bus.client import Picture
from nm_bus.messages import (
    Answer,
    Change,
    FeedNumbers,
    FeedPlace,
    FollowedFeed,
    Health,
    MemberView,
    Message,
    Page,
    Read,
    Running,
    SupernodeView,
    Update,
)
from nm_lab.samples.history import update_of

from .conftest import (
    ALERTS,
    NOW,
    RUNNING,
    SN,
    FakeBus,
    Run,
    answer,
    client_of,
    member,
    standing,
    supernode,
)

HEAD, OTHER = "3fa95c12" * 8, "77" * 32


def alive(node: str, **more: Any) -> SupernodeView:
    return supernode(node, RUNNING, ledger=standing(node, **more))


def follows(node: str, revision: int, **more: Any) -> MemberView:
    feeds = (FollowedFeed("config/thredds", 1, revision, HEAD),)
    running = msgspec.to_builtins(Running("i", feeds, **more))
    return member(node, Health.ALIVE, running=running)


FEEDS = FeedNumbers(1, {"config/thredds": 812})


def picture(*supernodes: SupernodeView, members: tuple[MemberView, ...] = ()) -> Picture:
    return Picture(SN[0], NOW, members, supernodes, (), (), FEEDS)


def bad(findings: Iterable[Finding]) -> list[tuple[str, Level, str]]:
    return [(f.about, f.level, f.text) for f in findings if f.level is not Level.OK and f.fix]


THREE = tuple(alive(node) for node in SN)


def test_one_ledger_everywhere_is_well() -> None:
    found = list(judge_ledger(picture(*THREE, members=(follows("n1.llnl.gov", 812),)), 812))
    assert bad(found) == []
    assert [f.text for f in found] == [
        "every supernode that is heard has it: revision 812, head 3fa95c12",
        "3 voters, 3 of them vote",
    ]


def test_without_a_ledger_it_is_told_how_to_make_one() -> None:
    found = list(judge_ledger(picture(*(supernode(node, RUNNING) for node in SN)), 0))
    assert [(f.about, f.level) for f in found] == [("ledger", Level.WARN)]
    assert "nm-bus init" in found[0].fix


def test_a_supernode_without_one_is_named() -> None:
    found = bad(judge_ledger(picture(*THREE[:2], supernode(SN[2], RUNNING)), 812))
    assert ("ledger", Level.WARN, f"{SN[2]} has none") in found


def test_a_stopped_one_fails_with_its_reason() -> None:
    gone = alive(SN[2], state="stopped", reason="the file is older than its votes")
    found = list(judge_ledger(picture(*THREE[:2], gone), 812))
    (failed,) = (f for f in found if f.level is Level.FAIL)
    assert failed.text == f"{SN[2]} has stopped: the file is older than its votes"
    assert "nm-bus init --replace" in failed.fix


def test_one_that_cannot_catch_up_fails_with_its_reason() -> None:
    stuck = alive(SN[2], state="behind", reason="the snapshot needs 9 bytes on disk: make room")
    found = list(judge_ledger(picture(*THREE[:2], stuck), 812))
    (failed,) = (f for f in found if f.level is Level.FAIL)
    assert failed.text == f"{SN[2]} is behind: the snapshot needs 9 bytes on disk: make room"
    assert "--replace" not in failed.fix


def test_a_listening_one_is_told() -> None:
    ((about, level, text),) = bad(
        judge_ledger(picture(*THREE[:2], alive(SN[2], state="listening")), 812)
    )
    assert (about, level) == ("ledger", Level.WARN)
    assert f"{SN[2]} is listening" in text


@pytest.mark.parametrize(("settled", "is_told"), [(812, True), (805, True), (800, False)])
def test_only_what_settled_must_be_everywhere(settled: int, *, is_told: bool) -> None:
    late = alive(SN[2], revision=800, head=OTHER)
    found = bad(judge_ledger(picture(*THREE[:2], late), settled))
    assert bool(found) is is_told
    assert all(f"{settled - 800} revisions behind" in text for _, _, text in found)


def test_two_heads_for_one_revision_fail() -> None:
    found = bad(judge_ledger(picture(*THREE[:2], alive(SN[2], head=OTHER)), 812))
    ((about, level, text),) = found
    assert (about, level) == ("ledger", Level.FAIL)
    assert "two histories: at revision 812 the head is 3fa95c12 and 77777777" in text


def test_a_fork_that_supernodes_have_found_fails() -> None:
    summary = f"{SN[0]} and {SN[1]} have different ledgers"
    alert = msgspec.structs.replace(ALERTS[0], kind="ledger-forked", summary=summary)
    found = bad(judge_ledger(replace(picture(*THREE), alerts=(alert, ALERTS[1])), 812))
    assert found == [("ledger", Level.FAIL, summary)]


def test_another_head_at_another_revision_is_no_fork() -> None:
    assert bad(judge_ledger(picture(*THREE[:2], alive(SN[2], revision=811, head=OTHER)), 800)) == []


@pytest.mark.parametrize(("count", "says"), [(1, "with its disk all is lost"), (2, "either")])
def test_what_fewer_than_three_voters_cost_is_told(count: int, says: str) -> None:
    voters = tuple(f"{node}#genesis" for node in SN[:count])
    views = [alive(node, voters=voters) for node in SN[:count]]
    ((about, level, text),) = bad(judge_ledger(picture(*views), 812))
    assert (about, level) == ("votes", Level.WARN)
    assert says in text


def test_without_a_majority_nothing_is_agreed() -> None:
    silent = [
        msgspec.structs.replace(view, health=Health.UNKNOWN, reason="silent") for view in THREE[1:]
    ]
    found = bad(judge_ledger(picture(THREE[0], *silent), 812))
    assert found == [("votes", Level.FAIL, "1 of 3 voters can vote: changes wait")]


def test_the_overview_says_with_which_project_file_all_began() -> None:
    began = [alive(node, beginning="mzxw-6ytb-ojsx-g6dt") for node in SN]
    (line,) = quorum(picture(*began))
    assert str(line) == "3 of 3 voters can vote; project file mzxw-6ytb-ojsx-g6dt"
    (line,) = quorum(picture(*(alive(node) for node in SN)))
    assert str(line) == "3 of 3 voters can vote"


def test_a_former_life_of_a_supernode_gives_no_vote() -> None:
    voters = (f"{SN[0]}#genesis", f"{SN[1]}#2d81c0", f"{SN[2]}#3e92d1")
    found = bad(judge_ledger(picture(*(alive(node, voters=voters) for node in SN)), 812))
    assert ("votes", Level.FAIL, "1 of 3 voters can vote: changes wait") in found


def test_a_life_that_nobody_admitted_is_told_with_the_command() -> None:
    voters = (f"{SN[0]}#genesis", f"{SN[1]}#genesis", f"{SN[2]}#3e92d1")
    found = list(judge_ledger(picture(*(alive(node, voters=voters) for node in SN)), 812))
    (told,) = (f for f in found if f.level is Level.WARN)
    assert told.text == f"{SN[2]} follows as genesis, which was not admitted"
    assert f"nm-bus supernode add {SN[2]} --incarnation genesis" in told.fix


def test_peers_and_the_ledger_s_supernodes_are_compared() -> None:
    stranger = supernode("sn9.example.org", RUNNING, ledger=standing("sn9.example.org"))
    found = bad(judge_ledger(picture(*THREE[:2], stranger), 812))
    said = [text for about, _, text in found if about == "votes"]
    assert said == [
        f"{SN[2]} is a supernode in the ledger, and no peer of {SN[0]}",
        f"sn9.example.org is a peer of {SN[0]}, and no supernode in the ledger",
    ]


def test_members_behind_and_their_troubles_are_told() -> None:
    members = (
        follows("n1.llnl.gov", 700),
        follows("n2.llnl.gov", 812, troubles={"config/thredds/a.xml": "the disk is full"}),
        follows("n3.llnl.gov", 811),
        member("n4.llnl.gov", Health.ALIVE),
    )
    settled = FeedNumbers(1, {"config/thredds": 811})
    found = bad(judge_ledger(picture(*THREE, members=members), 811, settled))
    assert found == [
        ("members", Level.WARN, "1 member behind with the documents that they keep: n1.llnl.gov"),
        ("documents", Level.WARN, "n2.llnl.gov: config/thredds/a.xml: the disk is full"),
    ]


def update(revision: int, age: float) -> Update:
    time = int((NOW - age) * 1e6)
    return update_of(Change("a/i/1", "a", "set", "config/thredds/a.xml"), revision, time=time)


@pytest.mark.parametrize(
    ("ages", "behind"),
    [((1.0, 2.0, 90.0), 0), ((1.0, 31.0, 90.0), 1), ((40.0, 50.0, 60.0), 2), ((1.0, 2.0, 3.0), 0)],
)
def test_a_revision_of_this_moment_is_on_its_way(
    bus: FakeBus, ages: tuple[float, ...], behind: int
) -> None:
    newest_first = tuple(update(812 - n, age) for n, age in enumerate(ages))

    def answers(message: Message) -> Answer:
        assert isinstance(message, Read)
        return answer(Page(812, HEAD, 1, updates=newest_first))

    bus.answers = answers
    members = (follows("n1.llnl.gov", 810),)
    found = bad(examine_ledger(client_of(bus), picture(*THREE, members=members)))
    assert len(found) == (behind > 0)
    assert all("1 member behind with the documents" in text for _, _, text in found)


def test_what_other_feeds_bring_leaves_nobody_behind() -> None:
    here = FeedNumbers(1, {"config/a": 7, "config/b": 9})
    updates = [update(812 - n, 1.0) for n in range(3)]
    moved = [
        msgspec.structs.replace(each, place=FeedPlace("config/b", 9 - n, "", ""))
        for n, each in enumerate(updates)
    ]
    assert settled_feeds(here, updates) == here
    assert settled_feeds(here, moved) == FeedNumbers(1, {"config/a": 7, "config/b": 6})
    begun = msgspec.structs.replace(moved[0].change, kind="epoch")
    new = msgspec.structs.replace(moved[0], change=begun)
    assert settled_feeds(here, [new]).numbers == {}, "members are not in the new epoch yet"


def test_a_ledger_that_cannot_be_read_is_judged_by_what_is_heard(bus: FakeBus) -> None:
    bus.answers = lambda message: Answer("r", False, "unavailable", "run nm-bus init")
    found = examine_ledger(client_of(bus), picture(supernode(SN[0], RUNNING), *THREE[1:]))
    assert ("ledger", Level.WARN, f"{SN[0]} has none") in bad(found)


def test_status_in_json_has_the_ledger(run: Run) -> None:
    told = json.loads(run("status", "--json").stdout)["ledger"]
    assert (told["revision"], told["head"][:8]) == (812, "3fa95c12")
    assert told["supernodes"][SN[1]]["state"] == "listening"
    assert told["supernodes"][SN[2]] == {"state": "none"}
    assert told["forked"] == []


def test_the_screen_counts_members_behind_and_in_trouble(
    capsys: pytest.CaptureFixture[str],
) -> None:
    members = (
        follows("n1.llnl.gov", 700),
        follows("n2.llnl.gov", 812, troubles={"config/thredds/a.xml": "the disk is full"}),
    )
    show(screen(), status_page(picture(*THREE, members=members), 132))
    said = capsys.readouterr().out
    assert "1 member behind with the documents that they keep" in said
    assert "1 member in trouble with documents" in said
