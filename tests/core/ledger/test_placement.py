"""Homes: nobody holds much over its share, and little moves when somebody comes or goes."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nm_bus.core.ledger.placement import PlacedMember, bound, moves, score

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FIVE = {f"s{n}.org": 1 for n in range(5)}


def names(count: int) -> list[str]:
    return [f"node{n}.site{n % 17}.org" for n in range(count)]


def placed(members: list[str], supernodes: dict[str, int]) -> dict[str, PlacedMember]:
    """Members that joined one after the other."""
    homes: dict[str, PlacedMember] = {}
    for member in members:
        homes[member] = PlacedMember()
        homes = settled(homes, supernodes)
    return homes


def settled(
    homes: dict[str, PlacedMember], supernodes: dict[str, int], newcomer: str = ""
) -> dict[str, PlacedMember]:
    moved = moves(homes, supernodes, newcomer)
    return {
        node: PlacedMember(moved.get(node, one.home), one.weight, one.stays)
        for node, one in homes.items()
    }


def loads(homes: dict[str, PlacedMember], supernodes: dict[str, int]) -> dict[str, int]:
    return {s: sum(m.weight for m in homes.values() if m.home == s) for s in supernodes}


def assert_bounded(homes: dict[str, PlacedMember], supernodes: dict[str, int]) -> None:
    whole = sum(one.weight for one in homes.values())
    for supernode, load in loads(homes, supernodes).items():
        assert load <= bound(whole, supernodes[supernode], sum(supernodes.values()))


@pytest.mark.parametrize(
    ("load", "weight", "weights", "most"),
    [(0, 1, 5, 0), (1, 1, 5, 1), (100, 1, 5, 25), (100, 2, 5, 50), (7, 1, 3, 3), (8, 1, 1, 10)],
)
def test_a_bound_is_five_quarters_of_the_share(
    load: int, weight: int, weights: int, most: int
) -> None:
    assert bound(load, weight, weights) == most


def test_a_score_is_the_same_for_ever() -> None:
    assert score("n1.org", "s1.org", 1).hex() == "c6a1dfc1f8985eaa9e8c296e83da9aac"
    assert score("n1.org", "s1.org", 3) >= score("n1.org", "s1.org", 1)


def test_shares_follow_the_weights() -> None:
    supernodes = {"a.org": 1, "b.org": 2, "c.org": 5}
    homes = placed(names(800), supernodes)
    for supernode, load in loads(homes, supernodes).items():
        assert load == pytest.approx(100 * supernodes[supernode], rel=0.25)
    assert_bounded(homes, supernodes)


def test_a_join_moves_nobody() -> None:
    homes: dict[str, PlacedMember] = {}
    for name in names(200):
        homes[name] = PlacedMember()
        assert moves(homes, FIVE).keys() == {name}
        homes = settled(homes, FIVE)
        assert_bounded(homes, FIVE)


def test_a_supernode_that_goes_gives_away_its_own_members_alone() -> None:
    homes = placed(names(400), FIVE)
    rest = {s: w for s, w in FIVE.items() if s != "s2.org"}
    moved = moves(homes, rest)
    assert moved.keys() == {node for node, one in homes.items() if one.home == "s2.org"}
    assert_bounded(settled(homes, rest), rest)


def test_a_supernode_that_comes_takes_its_share_and_nobody_moves_elsewhere() -> None:
    homes = placed(names(400), FIVE)
    six = {**FIVE, "s9.org": 1}
    moved = moves(homes, six, "s9.org")
    assert set(moved.values()) == {"s9.org"}
    assert 400 / 6 * 0.7 < len(moved) <= 67


def test_one_that_comes_and_goes_again_leaves_nearly_everybody_where_they_were() -> None:
    homes = placed(names(400), FIVE)
    with_six = settled(homes, {**FIVE, "s9.org": 1}, "s9.org")
    back = settled(with_six, FIVE)
    assert sum(back[node].home != homes[node].home for node in homes) <= 30


def test_a_leave_moves_no_more_than_the_bound_needs() -> None:
    """The loads stay bounded when all who leave were at other homes."""
    homes = placed(names(300), FIVE)
    moved = 0
    for node in [node for node, one in homes.items() if one.home != "s0.org"]:
        del homes[node]
        went = moves(homes, FIVE)
        assert len(went) < len(FIVE)
        moved += len(went)
        homes = settled(homes, FIVE)
        assert_bounded(homes, FIVE)
    assert moved <= 60


def test_where_no_bound_is_met_the_order_of_joins_does_not_matter() -> None:
    """Rendezvous alone decides then: each has the supernode that it is drawn to most."""
    members = names(60)
    drawn = {m: max(FIVE, key=lambda s: score(m, s, 1)) for m in members}
    room = [m for m in members if list(drawn.values()).count(drawn[m]) <= 12]
    there = {f"old{n}.org": PlacedMember(s) for n, s in enumerate(list(FIVE) * 20)}
    for order in (room, room[::-1], sorted(room)):
        homes = dict(there)
        for member in order:
            homes[member] = PlacedMember()
            homes = settled(homes, FIVE)
        assert {m: homes[m].home for m in room} == {m: drawn[m] for m in room}


def test_who_stays_moves_only_when_its_home_is_gone() -> None:
    homes = {name: PlacedMember("s0.org", stays=True) for name in names(20)}
    assert moves(homes, FIVE, "s1.org") == {}
    assert len(moves(homes, {"s1.org": 1, "s2.org": 1})) == 20


def test_a_member_that_is_too_heavy_for_any_bound_has_a_home() -> None:
    homes = {"heavy.org": PlacedMember(weight=1_000), "light.org": PlacedMember()}
    assert moves(homes, FIVE)["heavy.org"] in FIVE


def test_without_supernodes_nobody_has_a_home() -> None:
    assert moves({"a.org": PlacedMember("s0.org"), "b.org": PlacedMember()}, {}) == {"a.org": ""}


@unhurried
@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4), min_size=1),
    st.dictionaries(
        st.integers(0, 60).map("m{}".format),
        st.builds(
            PlacedMember,
            home=st.sampled_from(["", *"abcdefgh"]),
            weight=st.integers(1, 3),
            stays=st.booleans(),
        ),
    ),
    st.sampled_from(["", *"abcdefgh"]),
    st.randoms(use_true_random=False),
)
def test_all_have_a_home_and_the_order_of_mappings_says_nothing(
    supernodes: dict[str, int], members: dict[str, PlacedMember], newcomer: str, chance: Random
) -> None:
    moved = moves(members, supernodes, newcomer)
    homes = {node: moved.get(node, one.home) for node, one in members.items()}
    assert set(homes.values()) <= supernodes.keys()
    assert all(
        homes[n] == one.home for n, one in members.items() if one.stays and one.home in supernodes
    )
    shuffled = chance.sample(list(members.items()), len(members))
    turned = dict(reversed(supernodes.items()))
    assert list(moves(dict(shuffled), turned, newcomer).items()) == list(moved.items())


@unhurried
@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4), min_size=1),
    st.lists(st.sampled_from(["", *"abcdefgh"]), max_size=60),
    st.sampled_from(["", *"abcdefgh"]),
)
def test_members_of_equal_weight_are_always_bounded(
    supernodes: dict[str, int], at: list[str], newcomer: str
) -> None:
    homes = {f"m{n}": PlacedMember(home) for n, home in enumerate(at)}
    assert_bounded(settled(homes, supernodes, newcomer), supernodes)
