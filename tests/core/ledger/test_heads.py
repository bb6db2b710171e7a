"""Who has another history is found out at the first height where both are, and never counted."""

import pytest

from nm_bus.core.ledger.heads import PAST, Heads, why_outvoted
from nm_bus.messages import Mark

ME, A, B, C, D = (f"{name}#genesis" for name in ("me", "a", "b", "c", "d"))


def ours(height: int) -> Mark:
    return Mark(height, height, f"ours{height}")


def theirs(height: int) -> Mark:
    return Mark(height, height, f"theirs{height}")


def at(height: int) -> Heads:
    heads = Heads()
    heads.begin(map(ours, range(height + 1)))
    return heads


@pytest.mark.parametrize("height", [0, 3, 5])
def test_the_same_head_counts_at_any_height(height: int) -> None:
    heads = at(5)
    assert heads.counts(A, ours(height))
    assert heads.differing == {}


@pytest.mark.parametrize("height", [0, 3, 5])
def test_another_head_never_counts_again(height: int) -> None:
    heads = at(5)
    assert not heads.counts(A, theirs(height))
    assert not heads.counts(A, ours(5))
    assert not heads.counts(A, None)
    assert heads.counts(B, None)
    assert heads.differing[A].ours == ours(height)


def test_what_is_claimed_of_a_later_height_is_compared_when_that_is_reached() -> None:
    heads = at(5)
    assert heads.counts(A, theirs(7))
    heads.reached([ours(6)])
    assert heads.counts(A, None)
    heads.reached([ours(7)])
    assert not heads.counts(A, None)


def test_a_peer_that_goes_on_all_the_time_is_compared_as_well() -> None:
    heads = at(5)
    assert heads.counts(A, theirs(7))
    for height in range(8, 100):
        heads.counts(A, theirs(height))
    heads.reached(map(ours, range(6, 9)))
    assert heads.differing.keys() == {A}


def test_one_that_was_compared_is_compared_again_further_on() -> None:
    heads = at(5)
    assert heads.counts(A, ours(6))
    heads.reached([ours(6)])
    assert heads.counts(A, theirs(8))
    heads.reached([ours(7), ours(8)])
    assert not heads.counts(A, None)


def test_a_newcomer_that_knows_no_head_is_not_another_history() -> None:
    assert at(0).counts(A, Mark(-1))


def test_what_is_long_ago_is_compared_where_the_past_is_still_known() -> None:
    heads = at(PAST + 1)
    assert heads.counts(A, theirs(1))
    assert not heads.counts(B, theirs(2))
    heads.earlier = lambda claim: ours(claim.height)
    assert heads.counts(A, ours(1))
    assert not heads.counts(A, theirs(1))


def test_after_a_snapshot_its_head_is_the_own_one() -> None:
    heads = at(5)
    assert heads.counts(A, theirs(9))
    heads.begin([Mark(9, 9, "theirs9")])
    assert heads.counts(A, theirs(9))


@pytest.mark.parametrize(
    ("voters", "differing", "stops"),
    [
        ({ME}, set(), False),
        ({ME, A}, {A}, True),
        ({ME, A, B}, {A}, False),
        ({ME, A, B}, {A, B}, True),
        ({ME, A, B, C, D}, {A, B}, False),
        ({ME, A, B, C, D}, {A, B, C}, True),
        ({A, B, C}, {A}, False),
        ({A, B, C}, {A, B}, True),
        ({ME, A, B}, {C, D}, False),
        (set(), {A}, False),
    ],
)
def test_who_is_not_with_a_majority_must_stop(
    voters: set[str], differing: set[str], stops: bool
) -> None:
    heads = at(5)
    for peer in differing:
        heads.counts(peer, theirs(2))
    assert heads.is_outvoted(frozenset(voters)) is stops


def test_it_says_where_and_from_whom_it_differs() -> None:
    heads = at(5)
    heads.counts(A, theirs(4))
    heads.counts(B, theirs(3))
    said = why_outvoted(heads.differing, is_tied=False)
    assert "not that of a, b: at revision 3 its head is ours3, theirs theirs3" in said
    assert "init --replace" in said
    assert "choose whose history stays" in why_outvoted(heads.differing, is_tied=True)
