"""Which version of the rules applies: `rules/version`, which is in the ledger itself.

A version is a table of kinds of changes and what they do. A program that gives a change another
result has another version of the rules; supernodes may be upgraded one by one, and the new version
begins for all at one agreed slot, once every voter knows it.
"""

from typing import Annotated

from msgspec import Meta

from nm_bus.codes import CONFLICT
from nm_bus.core.ledger.rules.outcome import Outcome, Refusal
from nm_bus.core.ledger.rules.values import read
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change
from nm_bus.messages.base import Nested

KEY = "rules/version"


class RulesVersion(Nested, frozen=True):
    """The number of a version of the rules; a project begins with 1."""

    version: Annotated[int, Meta(ge=1, le=1_000_000)]


def in_force(state: State) -> int:
    """The version by which the next slot is applied."""
    value = state.value(KEY)
    return value["version"] if value else 1


def begin(state: State, change: Change) -> Outcome:
    """A later version applies from the next slot on; there is no way back."""
    said = read(change.value, RulesVersion)
    if isinstance(said, Refusal):
        return said
    if said.version <= in_force(state):
        return Refusal(CONFLICT, f"version {in_force(state)} of the rules has begun already")
    return {KEY: {"version": said.version}}
