"""A file that voted for what it no longer knows is found out by what its peers saw."""

import pytest

from nm_bus.core.ledger.boots import Boots
from nm_bus.core.ledger.effects import Vote
from nm_bus.messages import (
    Accepted,
    Ballot,
    Batch,
    Beat,
    Decided,
    Earlier,
    Echo,
    Fetch,
    FetchEarlier,
    Nack,
    Offer,
    Prepare,
    Promise,
    Snap,
    Step,
    Submit,
    Want,
)

ME, A, B = "me#genesis", "a#genesis", "b#genesis"
LOW, HIGH = Ballot(1, A), Ballot(2, B)
VOTERS = frozenset({ME, A, B})


def mine(boot: int = 3) -> Boots:
    return Boots(ME, boot, "nonce")


@pytest.mark.parametrize(
    ("echo", "said"),
    [
        (None, ""),
        (Echo(3, "nonce"), ""),
        (Echo(2, "earlier"), ""),
        (Echo(3, "nonce", 5), ""),
        (Echo(3, "nonce", 6, LOW), ""),
        (Echo(3, "other"), "another process"),
        (Echo(4, "later"), "another process"),
        (Echo(2, "earlier", 6), "rolled back"),
        (Echo(3, "nonce", 6, HIGH), "rolled back"),
        (Echo(3, "nonce", 7, LOW), "rolled back"),
    ],
)
def test_an_echo_tells_whether_the_file_is_the_one_that_voted(echo: Echo | None, said: str) -> None:
    reason = mine().echoed(A, echo, 5, {6: Vote(LOW)})
    assert said in reason
    assert bool(said) == bool(reason)


def test_a_new_life_listens_until_enough_others_know_it_and_said_what_they_accepted() -> None:
    boots = mine()
    assert not boots.may_vote(VOTERS, waits=False)
    boots.recalled(A, Echo(2, "earlier"))
    boots.recalled(A, Echo(3, "other"))
    assert not boots.may_vote(VOTERS, waits=False)
    boots.recalled(A, Echo(3, "nonce"))
    assert boots.may_vote(VOTERS, waits=False)
    assert not boots.may_vote(VOTERS | {"c#genesis", "d#genesis"}, waits=False)


def test_while_it_waits_all_others_must_have_said_so() -> None:
    boots = mine()
    boots.recalled(A, Echo(3, "nonce"))
    assert not boots.may_vote(VOTERS, waits=True)
    assert boots.asks(VOTERS) == {B}
    boots.recalled(B, Echo(3, "nonce"))
    assert boots.may_vote(VOTERS, waits=True)


def test_who_is_alone_needs_nobody() -> None:
    assert mine().may_vote(frozenset({ME}), waits=True)


def test_a_stranger_confirms_nothing() -> None:
    boots = mine()
    boots.recalled("stranger#x", Echo(3, "nonce"))
    assert not boots.may_vote(VOTERS, waits=False)


@pytest.mark.parametrize(
    ("step", "slot", "ballot"),
    [
        (Prepare(7, LOW), 7, LOW),
        (Promise(7, LOW), 7, LOW),
        (Accepted(7, LOW), 7, LOW),
        (Nack(7, LOW, HIGH), 7, HIGH),
        (Decided(7, LOW, Batch(A)), 7, None),
        (Beat(7), 7, None),
        (Beat(-1), 0, None),
        (Fetch(7), 6, None),
        (Fetch(0), 0, None),
        (Offer("n.1", 3, 1, 0, "", 7), 7, None),
        (Want("n.1", 3, 1), 0, None),
        (Snap("n.1", 3, 1, False, "", 7), 7, None),
        (Submit(()), 0, None),
        (FetchEarlier("config", 7), 0, None),
        (Earlier("config", 7, 0), 0, None),
    ],
)
def test_what_a_peer_says_shows_what_it_has_on_disk(
    step: Step, slot: int, ballot: Ballot | None
) -> None:
    boots = mine()
    assert boots.heard(A, 1, "a", step)
    assert boots.known[A] == Echo(1, "a", slot, ballot)


def test_the_furthest_is_echoed_also_in_a_later_life_and_whatever_order_it_came_in() -> None:
    boots = mine()
    boots.heard(A, 1, "first", Accepted(9, HIGH))
    boots.heard(A, 1, "first", Accepted(9, LOW))
    boots.heard(A, 2, "second", Beat(8))
    assert boots.known[A] == Echo(2, "second", 9, HIGH)
    boots.heard(A, 2, "second", Beat(9))
    assert boots.known[A] == Echo(2, "second", 9, None)


def test_a_life_that_has_ended_and_a_second_one_of_the_same_number_are_not_heard() -> None:
    boots = mine()
    assert boots.heard(A, 2, "second", Beat(1))
    assert not boots.heard(A, 1, "first", Beat(2))
    assert not boots.heard(A, 2, "copy", Beat(3))
    assert boots.known[A] == Echo(2, "second", 1)
