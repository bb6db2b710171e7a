"""What administrators decide for all: `role/<principal>`, `policy/<name>`, `silence/<id>`.

The last administrator stays: nobody could make another.
"""

from typing import Annotated

from msgspec import Meta

from nm_bus.codes import NOT_ALLOWED, UNKNOWN_KEY
from nm_bus.core.ledger.keys import WORD
from nm_bus.core.ledger.rules import records
from nm_bus.core.ledger.rules.outcome import Outcome, Refusal
from nm_bus.core.ledger.rules.values import read
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change
from nm_bus.messages.base import Nested

ROLES = "role/"

Component = Annotated[str, Meta(pattern=rf"^{WORD}\Z")]


class RoleGiven(Nested, frozen=True):
    """What a principal may do: everything, or publish these components' documents."""

    administrator: bool = False
    publisher: Annotated[tuple[Component, ...], Meta(max_length=1_000)] = ()


put, delete = records.put, records.delete


def put_role(state: State, change: Change) -> Outcome:
    """A principal may do this from now on, and no more."""
    given = read(change.value, RoleGiven)
    if isinstance(given, Refusal):
        return given
    if not given.administrator and not _others_administer(state, change):
        return _last(change)
    return put(state, change)


def delete_role(state: State, change: Change) -> Outcome:
    """A principal has no role any more."""
    if state.get(change.key) is None:
        return Refusal(UNKNOWN_KEY, f"{change.key} is not there")
    return {change.key: None} if _others_administer(state, change) else _last(change)


def _others_administer(state: State, change: Change) -> bool:
    others = (entry for entry in state.under(ROLES) if entry.key != change.key)
    return any(entry.value.get("administrator") is True for entry in others)


def _last(change: Change) -> Refusal:
    return Refusal(NOT_ALLOWED, f"{change.key} is the last administrator: name another first")
