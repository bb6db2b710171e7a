"""What a rule says of a change: what it sets and deletes, that nothing changes, or why not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nm_bus.core.ledger.state import State
from nm_bus.messages import Change

Value = dict[str, Any]

Effects = dict[str, Value | None]
"""The keys that get a value, and with None those that are deleted, which must be there."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """It is as asked already, since this revision."""

    revision: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """It is not done: a code for programs, and one sentence for people."""

    code: str
    reason: str


Outcome = Effects | Unchanged | Refusal

Rule = Callable[[State, Change], Outcome]
"""A rule. What is done is revision `state.revision + 1`."""
