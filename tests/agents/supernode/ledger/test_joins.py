"""A member that says hello is made to join once, and not over and over."""

from collections.abc import Callable

import pytest

from nm_agents.supernode.ledger import composing
from nm_agents.supernode.ledger.composing import AGAIN, Joins
from nm_bus.messages import Change

from .conftest import ADMIN, Crowd

MEMBER = "member.example.org"


def test_a_member_that_says_hello_again_and_again_joins_once(
    make_crowd: Callable[..., Crowd],
) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, *_ = crowd
    joins = Joins(first.ledger)
    for _ in range(5):
        joins.joined(MEMBER)
    crowd.clock.advance(0.0)
    crowd.settle()
    joins.joined(MEMBER)
    crowd.clock.advance(0.0)
    crowd.settle()
    assert first.ledger.state.revision == 1
    entry = first.ledger.state.get(f"member/{MEMBER}")
    assert entry is not None
    assert (entry.value["state"], entry.actor) == ("joined", first.node)


def test_a_join_that_is_refused_is_not_asked_for_at_every_hello(
    make_crowd: Callable[..., Crowd],
) -> None:
    crowd = make_crowd(1)
    (site,) = crowd
    joins = Joins(site.ledger)
    for _ in range(5):
        joins.joined("No Node")
        crowd.clock.advance(0.0)
    before = site.ledger.height
    crowd.clock.advance(AGAIN + 1)
    joins.joined("No Node")
    crowd.clock.advance(0.0)
    assert (before, site.ledger.height) == (1, 2)
    assert site.ledger.state.revision == 0


def test_members_that_come_together_join_in_one_proposal(make_crowd: Callable[..., Crowd]) -> None:
    crowd = make_crowd(1)
    (site,) = crowd
    joins = Joins(site.ledger)
    before = site.ledger.height
    for number in range(50):
        joins.joined(f"n{number}.example.org")
    crowd.clock.advance(0.0)
    assert site.ledger.height == before + 1
    assert site.ledger.state.count("member/") == 50


def test_members_that_come_when_too_many_join_do_so_afterwards_without_another_hello(
    make_crowd: Callable[..., Crowd], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composing, "MOST", 20)
    crowd = make_crowd(3)
    crowd.awake()
    first, *_ = crowd
    joins = Joins(first.ledger)
    for number in range(50):
        joins.joined(f"n{number}.example.org")
    crowd.clock.advance(0.0)
    assert len(first.ledger.agreement.outbox) <= 20
    for _ in range(4):
        crowd.settle()
        crowd.clock.advance(0.0)
    crowd.settle()
    assert first.ledger.state.count("member/") == 50


@pytest.mark.parametrize(("goes", "state"), [("leave", "joined"), ("remove", "left")])
def test_a_member_that_left_joins_again_unless_it_was_removed(
    make_crowd: Callable[..., Crowd], goes: str, state: str
) -> None:
    crowd = make_crowd(1)
    (site,) = crowd
    joins = Joins(site.ledger)
    joins.joined(MEMBER)
    crowd.clock.advance(0.0)
    change = Change(f"{ADMIN}/x/1", ADMIN, goes, f"member/{MEMBER}")
    site.ledger.propose(change, lambda _: None)
    joins.joined(MEMBER)
    crowd.clock.advance(0.0)
    value = site.ledger.state.value(f"member/{MEMBER}")
    assert value is not None
    assert value["state"] == state
