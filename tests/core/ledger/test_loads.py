"""What is kept of homes is what the entries say, and decides the same as a look at everybody."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nm_bus.core.ledger.loads import Loads, LoadsWithOne, placed_member
from nm_bus.core.ledger.placement import _draw, bound
from nm_bus.core.ledger.rules import members
from nm_bus.core.ledger.rules.homes import with_home, with_homes
from nm_bus.core.ledger.rules.outcome import Effects, Value
from nm_bus.core.ledger.state import State
from nm_bus.messages import Entry
from nm_lab.samples.desk import SUPERNODES, Desk

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

Step = tuple[str, int, int]
"""A kind of change, whose, and a weight."""

STATES = ["joined", "maintenance", "left"]
ONES = ["join", "join", "join", "leave", "leave", "maintain", "resume", "remove"]
of_members = st.tuples(
    st.sampled_from(ONES), st.integers(0, 25), st.sampled_from([1, 1, 2, 3, 50, 1_000])
)
of_supernodes = st.tuples(
    st.sampled_from(["admit", "promote", "demote", "dismiss"]),
    st.integers(1, 5),
    st.sampled_from([1, 2, 100]),
)
steps = st.lists(st.one_of(of_members, of_members, of_members, of_supernodes), max_size=60)

crowds = st.lists(
    st.tuples(
        st.sampled_from(["s1.org", "s1.org", "s1.org", "s2.org"]),
        st.sampled_from(["joined", "joined", "maintenance"]),
    ),
    max_size=25,
)
"""Homes and states of members, too many at one home for what it may hold."""


def take(desk: Desk, step: Step) -> None:
    kind, number, weight = step
    key = f"supernode/s{number}.org"
    match kind:
        case "admit":
            desk.ask("admin", "admit", key, {"incarnation": "genesis", "weight": weight})
        case "promote" | "demote":
            role = "voter" if kind == "promote" else "standby"
            desk.ask("admin", "admit", key, {"role": role, "weight": weight})
        case "dismiss":
            desk.ask("admin", "dismiss", key)
        case "join":
            desk.ask("admin", "join", f"member/m{number}.org", {"weight": weight})
        case _:
            desk.ask("admin", kind, f"member/m{number}.org")


def put_at(desk: Desk, home: str, node: str, state: str = "joined") -> None:
    """Where the rules would not have put it, perhaps."""
    value = {"state": state, "home": home, "weight": 1, "properties": {}}
    desk.state.put(Entry(f"member/{node}", value, 0, "admin"))


@contextmanager
def compared() -> Iterator[list[Effects]]:
    """Each change of a member is judged both ways; what it moved is in the list."""
    judged: list[Effects] = []

    def both(state: State, key: str, value: Value) -> Effects:
        effects = with_home(state, key, value)
        assert list(effects.items()) == list(with_homes(state, {key: value}).items())
        judged.append(effects)
        return effects

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "with_home", both)
        yield judged


@unhurried
@given(crowds, steps)
def test_a_change_of_one_member_moves_the_same_as_a_look_at_all(
    crowd: list[tuple[str, str]], steps: list[Step]
) -> None:
    desk = Desk()
    for number, (home, state) in enumerate(crowd):
        put_at(desk, home, f"m{number}.org", state)
    with compared():
        for step in steps:
            take(desk, step)


def test_the_comparison_meets_members_that_move_on() -> None:
    """Who leaves makes the bounds smaller: others move, one or several at once."""
    desk = Desk()
    for number in range(40):
        take(desk, ("join", number, 1))
    take(desk, ("join", 40, 1_000))
    with compared() as judged:
        for number in (40, *range(40)):
            if home_of(desk, number) != "s1.org":
                take(desk, ("leave", number, 0))
    assert {1, 2} < {len(effects) for effects in judged}


def home_of(desk: Desk, number: int) -> str:
    home: str = (desk.state.value(f"member/m{number}.org") or {})["home"]
    return home


@unhurried
@given(steps)
def test_what_is_kept_is_what_a_snapshot_gives(steps: list[Step]) -> None:
    desk = Desk()
    for step in steps:
        take(desk, step)
        # what is looked at once is kept from then on
        assert everything(desk.state.loads) == everything(Loads(desk.state.entries))
    assert everything(desk.state.loads) == everything(State.of(desk.state.snapshot()).loads)


def everything(loads: Loads) -> tuple[object, ...]:
    at = {s: (loads.at(s), list(loads.least_drawn(s))) for s in sorted(loads.supernodes)}
    return at, loads.whole, dict(loads.supernodes), loads.all_have_a_home


@given(crowds, st.integers(0, 25), st.sampled_from(SUPERNODES), st.sampled_from(STATES))
def test_one_that_is_other_is_seen_as_if_it_were_kept(
    crowd: list[tuple[str, str]], number: int, home: str, state: str
) -> None:
    desk = Desk()
    for n, (at, state_before) in enumerate(crowd):
        put_at(desk, at, f"m{n}.org", state_before)
    value = {"state": state, "home": home, "weight": 7}
    seen = LoadsWithOne(desk.state.loads, f"m{number}.org", placed_member(value))
    found = {s: list(seen.least_drawn(s)) for s in SUPERNODES}, dict(seen.loads), seen.whole
    desk.state.put(Entry(f"member/m{number}.org", value, 1, "admin"))
    kept = desk.state.loads
    again = {s: list(kept.least_drawn(s)) for s in SUPERNODES}
    assert found == (again, {s: kept.at(s) for s in SUPERNODES}, kept.whole)


@unhurried
@given(st.lists(st.tuples(st.sampled_from(ONES[:5]), st.integers(0, 60)), max_size=150))
def test_loads_stay_bounded_and_few_move(steps: list[tuple[str, int]]) -> None:
    desk = Desk()
    for kind, number in steps:
        applied = desk.ask("admin", kind, f"member/m{number}.org")
        assert len(applied.entries) <= len(SUPERNODES)
        loads = desk.state.loads
        most = bound(loads.whole, 1, len(SUPERNODES))
        assert max(map(loads.at, SUPERNODES)) <= most


def test_somebody_without_a_home_gets_one_with_the_next_change() -> None:
    """As a look at all does: no state that was applied has one, but one that was made up may."""
    desk = Desk()
    put_at(desk, "", "lost1.org")
    put_at(desk, "gone.org", "lost2.org")
    with compared() as judged:
        take(desk, ("join", 1, 1))
    assert judged[0].keys() == {"member/m1.org", "member/lost1.org", "member/lost2.org"}
    assert desk.state.loads.all_have_a_home


def reads(count: int) -> int:
    """How many entries are read for a join, a maintenance and a leave among so many members."""
    desk = Desk()
    for number in range(count):
        put_at(desk, SUPERNODES[number % len(SUPERNODES)], f"m{number}.org")
    counted = desk.counted()
    for kind in ("join", "maintain", "resume", "leave"):
        desk.done("admin", kind, "member/another.org")
    return counted.reads


def test_a_change_of_a_member_reads_as_few_entries_among_many_as_among_few() -> None:
    assert reads(3_000) == reads(30)


def draws(count: int, patch: pytest.MonkeyPatch) -> int:
    """How often anybody is drawn to a home while others leave, and some move on for it.

    Counted from the second leave on: at the first one all of the home that has too many are looked
    at, which is once until the supernodes change.
    """
    desk = Desk()
    full = bound(count, 1, len(SUPERNODES))
    for number in range(count):
        put_at(desk, "s1.org" if number < full else SUPERNODES[1 + number % 2], f"m{number}.org")
    for number in range(full, full + 5):
        take(desk, ("leave", number, 1))
    counted: list[str] = []

    def draw(text: str) -> bytes:
        counted.append(text)
        return _draw(text)

    patch.setattr("nm_bus.core.ledger.placement._draw", draw)
    before = desk.state.loads.at("s1.org")
    for number in range(full + 5, full + 30):
        take(desk, ("leave", number, 1))
    assert before - desk.state.loads.at("s1.org") >= 10, "and some moved on"
    patch.undo()
    return len(counted)


def test_who_moves_on_is_found_among_many_as_soon_as_among_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert draws(3_000, monkeypatch) < 3 * draws(300, monkeypatch)
