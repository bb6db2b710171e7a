"""What counts as a change of the federation, and how changes are given."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from nm_bus.client import Client, Picture, PictureChange, Quiet, Unanswered
from nm_bus.client.federation.changes import PictureChanges, difference
from nm_bus.messages import (
    BrokerState,
    Health,
    LinkState,
    MemberState,
    MemberView,
    PipeState,
    Standing,
    Supernode,
    SupernodeView,
)
from nm_bus.testing.supernodes import FakeSupernodes

SN1, SN2 = "sn1.example.org", "sn2.example.org"
BROKER = BrokerState("running", version="3.10.8", memory=100, connections=3)
VOTER = f"{SN1}#genesis"
STANDING = Standing(SN1, "genesis", 1, 812, "ab" * 32, 640, VOTER, (VOTER,), ())
MEMBER = MemberView(SN1, 1.0, MemberState("n1.org", Health.ALIVE, heard=2.0, sequence=7))
LINK = LinkState(SN1, SN2, "bulk", "running", delay=0.01, moved=5, heard=1.0)
VIEW = SupernodeView(
    SN1,
    Health.ALIVE,
    "",
    1.0,
    Supernode(SN1, "i", 1, 0.0, 1.0, "0.1.0", BROKER, ledger=STANDING),
    (PipeState("heartbeat.0", True, delay=0.003),),
)


def picture(**more: Any) -> Picture:
    values: dict[str, Any] = {"members": (MEMBER,), "supernodes": (VIEW,), "links": (LINK,)}
    return Picture(SN1, 1.0, **{"alerts": (), **values, **more})


def member(**more: Any) -> MemberView:
    return replace(MEMBER, state=replace(MEMBER.state, **more))


def view(**more: Any) -> SupernodeView:
    assert VIEW.state is not None
    return replace(VIEW, state=replace(VIEW.state, **more))


def test_what_only_counts_on_is_no_change() -> None:
    later = picture(
        members=(replace(member(heard=9.0, sequence=9, uptime=60.0, skew=0.1), told=3.0),),
        supernodes=(
            replace(view(sent=2.0, sequence=2, broker=replace(BROKER, memory=101)), heard=3.0),
        ),
        links=(replace(LINK, delay=0.02, moved=9, backlog=3, heard=0.5),),
    )
    assert difference(picture(), later) is None


@pytest.mark.parametrize(
    "new",
    [
        member(health=Health.LATE),
        member(latest={"host.load.1m": 1.0}),
        replace(MEMBER, home=SN2),
    ],
)
def test_a_member_that_is_otherwise_is_a_change(new: MemberView) -> None:
    after = picture(members=(new,))
    assert difference(picture(), after) == PictureChange(after, members=(new,))


@pytest.mark.parametrize(
    "new",
    [
        replace(VIEW, health=Health.UNKNOWN),
        view(broker=replace(BROKER, state="blocked")),
        view(ledger=replace(STANDING, revision=813)),
        replace(VIEW, state=None),
        replace(VIEW, pipes=(PipeState("heartbeat.0", False, "no canary"),)),
    ],
)
def test_a_supernode_that_is_otherwise_is_a_change(new: SupernodeView) -> None:
    after = picture(supernodes=(new,))
    assert difference(picture(), after) == PictureChange(after, supernodes=(new,))


def test_what_is_no_more_is_named() -> None:
    after = picture(members=(), supernodes=(), links=())
    assert difference(picture(), after) == PictureChange(
        after,
        members_gone=("n1.org",),
        supernodes_gone=(SN1,),
        links_gone=(f"{SN1} {SN2} bulk",),
    )


@pytest.fixture
def changes(client: Client, supernodes: FakeSupernodes) -> Iterator[PictureChanges]:
    supernodes.sight.members = (MEMBER,)
    with client.changes(every=0.0) as changes:
        yield changes


def test_the_whole_comes_first_and_then_only_what_is_new(
    changes: PictureChanges, supernodes: FakeSupernodes
) -> None:
    whole = next(changes)
    assert isinstance(whole, Picture)
    assert whole.members == (MEMBER,)
    assert isinstance(next(changes), Quiet)
    late = member(health=Health.LATE)
    supernodes.sight.members = (late,)
    change = next(changes)
    assert isinstance(change, PictureChange)
    assert change.members == change.picture.members == (late,)


def test_that_nobody_answers_is_said_once_and_that_one_does_again(
    changes: PictureChanges, supernodes: FakeSupernodes
) -> None:
    next(changes)
    for node in supernodes.nodes:
        supernodes.by_node[node].dead = True
    silent = next(changes)
    assert isinstance(silent, Unanswered)
    assert "refuses connections" in silent.reason
    assert isinstance(next(changes), Quiet)
    for node in supernodes.nodes:
        supernodes.by_node[node].dead = False
    assert isinstance(next(changes), PictureChange)


def test_a_look_that_is_not_due_is_not_waited_for(client: Client) -> None:
    with client.changes(every=3600.0) as changes:
        assert isinstance(next(changes), Picture)
        assert changes.step(0.0) is None
