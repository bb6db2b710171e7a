"""What a picture says of the ledger."""

from typing import Any

import pytest
from msgspec.structs import replace

from nm_bus.client.federation.standings import (
    forks,
    in_words,
    ledger_data,
    members_behind,
    newest,
    votes_of,
)
from nm_bus.messages import (
    FeedNumbers,
    FollowedFeed,
    Health,
    MemberView,
    Running,
    Standing,
    SupernodeView,
)

from .test_changes import SN1, SN2, STANDING, VIEW, member, picture, view


def at(node: str, **more: Any) -> SupernodeView:
    ledger = replace(STANDING, node=node, **more)
    return replace(view(ledger=ledger), node=node)


def follows(number: int, health: Health = Health.ALIVE, feed: str = "config/a") -> MemberView:
    feeds = (FollowedFeed(feed, 1, number, "h"),)
    return member(health=health, running=Running("i", feeds))


HERE = FeedNumbers(1, {"config/a": 12, "config/b": 900})


def test_a_member_that_is_not_heard_is_not_behind() -> None:
    members = (follows(1, Health.DOWN), follows(11), follows(12))
    assert members_behind(picture(members=members, feeds=HERE)) == [follows(11)]


def test_a_member_is_behind_in_what_it_lives_by_alone() -> None:
    """However high the ledger's revision is, and whatever other feeds brought."""
    idle = member(running=Running("i"))
    level = (idle, follows(12), follows(0, feed="config/never"), follows(13))
    assert members_behind(picture(members=level, feeds=HERE)) == []
    assert members_behind(picture(members=(follows(1),))) == [], "nobody knows how far it should be"
    later = replace(HERE, epoch=2)
    assert members_behind(picture(members=(follows(12),)), later) == [follows(12)]


def test_an_epoch_counts_more_than_a_revision() -> None:
    furthest = newest(picture(supernodes=(VIEW, at(SN2, revision=3, epoch=2))))
    assert furthest is not None
    assert furthest.node == SN2


def test_two_heads_for_one_revision_are_a_fork() -> None:
    two = picture(supernodes=(VIEW, at(SN2, head="cd" * 32)))
    assert [(one.node, other.node) for one, other in forks(two)] == [(SN1, SN2)]
    assert not list(forks(picture(supernodes=(VIEW, at(SN2, head="cd" * 32, revision=3)))))


def test_only_who_is_alive_and_goes_on_can_vote() -> None:
    voters = tuple(f"{node}#genesis" for node in (SN1, SN2))
    both = (at(SN1, voters=voters), at(SN2, voters=voters, state="listening"))
    found = votes_of(picture(supernodes=both))
    assert found is not None
    assert (found.able, found.needed, found.role(SN2), found.role("sn9.org")) == (
        1,
        2,
        "voter",
        "none",
    )


def test_without_a_ledger_there_is_nothing_to_say() -> None:
    nothing = picture(supernodes=(view(ledger=None),))
    assert (ledger_data(nothing), newest(nothing), votes_of(nothing)) == (None, None, None)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (None, "none"),
        (STANDING, "812 abababab"),
        (replace(STANDING, revision=0, head="", state="listening"), "listening at 0"),
        (
            replace(STANDING, state="stopped", reason="an old file"),
            "stopped at 812 abababab: an old file",
        ),
    ],
)
def test_how_a_ledger_stands_is_a_few_words(told: Standing | None, said: str) -> None:
    assert in_words(told) == said
