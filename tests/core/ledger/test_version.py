"""A new version of the rules begins for all at one slot, and never goes back."""

from typing import Any

import pytest

from nm_bus.core.ledger.applying import Applied, apply_batch
from nm_bus.core.ledger.kinds import KINDS, Kinds, unknown_rules
from nm_bus.core.ledger.rules.outcome import Outcome
from nm_bus.core.ledger.rules.version import in_force
from nm_bus.core.ledger.state import State
from nm_bus.messages import Batch, Change
from nm_lab.samples.desk import Desk


def shouted(_state: State, change: Change) -> Outcome:
    """What a new rule makes of a document."""
    return {change.key: {"content": (change.value or {})["content"].upper()}}


ROW = KINDS["set", "config"]
LATER: Kinds = {**KINDS, ("set", "config"): type(ROW)(shouted, ROW.may, ROW.form)}
BOOK = {1: KINDS, 2: LATER}


def document(number: int) -> Change:
    key = f"config/search/{number}"
    return Change(f"pub/a/{number}", "pub", "set", key, value={"content": "x"}, timestamp=number)


def begin(number: int, version: Any) -> Change:
    value = {"version": version}
    return Change(f"s1.org/a/{number}", "s1.org", "begin", "rules/version", value=value)


def decided(state: State, *changes: Change) -> list[Applied]:
    return apply_batch(state, Batch("s1.org#genesis", 1, changes), BOOK)


def test_a_project_begins_with_the_first_version() -> None:
    assert in_force(Desk().state) == 1


def test_a_new_version_applies_from_the_next_slot_on() -> None:
    state = Desk().state
    decided(state, begin(1, 2), document(1))
    decided(state, document(2))
    assert state.value("config/search/1") == {"content": "x"}
    assert state.value("config/search/2") == {"content": "X"}


def test_it_is_in_force_as_well_for_who_begins_with_a_snapshot() -> None:
    state = Desk().state
    decided(state, begin(1, 2))
    assert in_force(State.of(state.snapshot())) == 2


@pytest.mark.parametrize("version", [1, 0, -1, "2", None])
def test_there_is_no_way_back_and_no_version_that_is_none(version: Any) -> None:
    state = Desk().state
    (applied,) = decided(state, begin(1, version))
    assert applied.answer.state == "refused"
    assert in_force(state) == 1


def test_a_program_without_it_says_so_and_what_to_do() -> None:
    state = Desk().state
    assert unknown_rules(state, BOOK) == ""
    decided(state, begin(1, 3))
    assert "version 3 of the rules began at revision 1" in unknown_rules(state, BOOK)
    assert "knows up to 2: upgrade nm-bus" in unknown_rules(state, BOOK)
