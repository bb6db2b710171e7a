"""An upgrade one by one stops nobody; who computes something else is found out at once."""

from collections.abc import Callable

import pytest

from nm_bus.core.ledger.kinds import KINDS, Kinds, Rulebook
from nm_bus.core.ledger.rules.outcome import Outcome
from nm_bus.core.ledger.rules.version import in_force
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change
from nm_bus.storage import retention

from .conftest import Crowd, Site

Make = Callable[..., Crowd]


def shouted(_state: State, change: Change) -> Outcome:
    return {change.key: {"content": (change.value or {})["content"] + "!"}}


ROW = KINDS["set", "config"]
OTHER: Kinds = {**KINDS, ("set", "config"): type(ROW)(shouted, ROW.may, ROW.form)}
UPGRADED: Rulebook = {1: KINDS, 2: OTHER}
SLIPPED: Rulebook = {1: OTHER}


def restart(site: Site, book: Rulebook) -> None:
    site.kill()
    site.book = book
    site.start()


def settle(crowd: Crowd, numbers: range) -> None:
    for number in numbers:
        for site in crowd:
            site.put(number)
    crowd.settle()


def content(site: Site, name: str) -> str:
    return str((site.ledger.state.value(f"config/{name}/document") or {})["content"])


def test_the_new_version_begins_when_the_last_voter_knows_it_and_nothing_stops(
    make_crowd: Make,
) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    for number, site in enumerate(crowd, start=1):
        settle(crowd, range(number, number + 1))
        assert {in_force(each.ledger.state) for each in crowd} == {1}
        restart(site, UPGRADED)
        crowd.awake()
    crowd.clock.run(lambda: all(in_force(each.ledger.state) == 2 for each in crowd), 60.0)
    settle(crowd, range(4, 6))
    assert [site.ledger.reason for site in crowd] == ["", "", ""]
    assert {content(each, site.node) for each in crowd for site in crowd} == {"5!"}
    assert len({each.ledger.state.head for each in crowd}) == 1


def test_who_does_not_know_a_version_that_has_begun_stops_and_says_what_to_upgrade(
    make_crowd: Make,
) -> None:
    crowd = make_crowd(3)
    first, *others = crowd
    for site in crowd:
        restart(site, UPGRADED)
    crowd.clock.run(lambda: all(in_force(each.ledger.state) == 2 for each in crowd), 120.0)
    restart(first, {1: KINDS})
    others[0].put(1)
    crowd.clock.run(lambda: others[1].ledger.state.revision == 2, 60.0)
    assert "knows up to 1: upgrade nm-bus" in first.ledger.reason
    assert "init" not in first.ledger.reason
    assert not first.ledger.is_awake

    restart(first, UPGRADED)
    crowd.settle()
    assert content(first, others[0].node) == "1!"


def test_who_was_away_when_it_began_stops_where_it_began(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, *others = crowd
    for site in others:
        restart(site, UPGRADED)
    crowd.awake()
    crowd.lose(others, (first,))
    first.ledger.machine.book = UPGRADED  # it says that it knows, and is another program next time
    crowd.clock.run(lambda: all(in_force(each.ledger.state) == 2 for each in others), 120.0)
    others[0].put(1)
    crowd.clock.advance(30.0)
    crowd.heal()
    restart(first, {1: KINDS})
    crowd.clock.run(lambda: bool(first.ledger.reason), 120.0)
    began = first.ledger.state.get("rules/version")
    assert began is not None
    assert first.ledger.state.revision == began.revision
    restart(first, UPGRADED)
    crowd.settle()
    assert content(first, others[0].node) == "1!"


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_program_that_computes_something_else_is_found_out_at_the_first_revision(
    make_crowd: Make, count: int
) -> None:
    crowd = make_crowd(count)
    crowd.awake()
    slipped, *others = crowd
    restart(slipped, SLIPPED)
    crowd.awake()
    others[0].put(1)
    crowd.clock.run(lambda: bool(slipped.ledger.reason), 60.0)
    assert slipped.ledger.state.revision == 1
    assert "at revision 1 its head is" in slipped.ledger.reason
    assert "the versions of nm-bus differ" in slipped.ledger.reason
    crowd.clock.advance(10.0)
    stopped = [bool(site.ledger.reason) for site in others]
    assert stopped == [count == 2] * (count - 1)
    others[0].put(2)
    crowd.clock.advance(30.0)
    revisions = {site.ledger.state.revision for site in others}
    assert revisions == {1 if count == 2 else 2}


def test_a_snapshot_of_rules_that_its_program_does_not_know_is_not_taken(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOG_SLOTS", 1)
    crowd = make_crowd(3)
    first, *others = crowd
    first.kill()
    for site in others:
        restart(site, UPGRADED)
    crowd.clock.run(lambda: all(site.ledger.is_awake for site in others), 60.0)
    others[0].put(9)
    for site in others:
        site.ledger.peers.rules[first.ledger.voter_id] = 2
    crowd.clock.run(lambda: all(in_force(each.ledger.state) == 2 for each in others), 120.0)
    for number in range(1, 21):
        others[0].put(number)
        crowd.clock.advance(5.0)
    first.start()
    crowd.clock.run(lambda: bool(first.ledger.reason), 120.0)
    assert "knows up to 1: upgrade nm-bus" in first.ledger.reason
    assert (first.ledger.height, first.ledger.state.revision) == (0, 0)
    restart(first, UPGRADED)
    crowd.settle()
    assert content(first, others[0].node) == "20!"
