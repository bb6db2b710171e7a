"""Who belongs: `member/<node>`.

A member's state is `joined`, `maintenance` or `left`. Joins and leaves of different nodes never
conflict. Whom an administrator removed comes back by an administrator alone.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, field

from nm_bus.codes import NOT_ALLOWED, UNKNOWN_KEY
from nm_bus.core.ledger.keys import name
from nm_bus.core.ledger.roles import is_administrator
from nm_bus.core.ledger.rules.homes import with_home
from nm_bus.core.ledger.rules.outcome import Outcome, Refusal, Unchanged, Value
from nm_bus.core.ledger.rules.values import read
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change, NodeId
from nm_bus.messages.base import Nested

JOINED, MAINTENANCE, LEFT = "joined", "maintenance", "left"

NEW: Mapping[str, object] = {"state": LEFT, "home": "", "weight": 1, "properties": {}}


class Joining(Nested, frozen=True):
    """What a join may say; what it leaves out stays as it was."""

    weight: Annotated[int, Meta(ge=1, le=1_000)] = 1
    properties: dict[str, str] = field(default_factory=dict)


def join(state: State, change: Change) -> Outcome:
    """A node is a member, with what it says of itself. Maintenance goes on through a restart."""
    said = read(change.value, Joining)
    if isinstance(said, Refusal):
        return said
    before = state.value(change.key) or dict(NEW)
    if before.get("removed") and not is_administrator(state, change.actor):
        node = name(change.key)
        reason = f"an administrator removed {node}: an administrator must join it again"
        return Refusal(NOT_ALLOWED, reason)
    given = {k: v for k, v in (change.value or {}).items() if k in ("weight", "properties")}
    state_now = MAINTENANCE if before["state"] == MAINTENANCE else JOINED
    after = {**before, **given, "state": state_now}
    after.pop("removed", None)
    return _now(state, change, after)


def leave(state: State, change: Change) -> Outcome:
    """A member goes, at will; its entry stays, without a home."""
    return _gone(state, change, {})


def remove(state: State, change: Change) -> Outcome:
    """An administrator sends a member away, also one that left by itself."""
    return _gone(state, change, {"removed": True})


def maintain(state: State, change: Change) -> Outcome:
    """Somebody works on a member; it keeps its home."""
    return _in_state(state, change, MAINTENANCE)


def resume(state: State, change: Change) -> Outcome:
    """The work is done."""
    return _in_state(state, change, JOINED)


def how_it_left(state: State, node: NodeId) -> str:
    """How a member left the project; empty for one that is in it, or never was."""
    value = state.value(f"member/{node}")
    if value is None or value["state"] != LEFT:
        return ""
    return "an administrator removed it" if value.get("removed") else "it left the project"


def _gone(state: State, change: Change, mark: Value) -> Outcome:
    before = state.value(change.key)
    if before is None or (before["state"] == LEFT and not mark):
        return Refusal(UNKNOWN_KEY, f"{name(change.key)} is no member")
    return _now(state, change, {**before, **mark, "state": LEFT, "home": ""})


def _in_state(state: State, change: Change, word: str) -> Outcome:
    before = state.value(change.key)
    if before is None or before["state"] == LEFT:
        return Refusal(UNKNOWN_KEY, f"{name(change.key)} is no member")
    return _now(state, change, {**before, "state": word})


def _now(state: State, change: Change, value: Value) -> Outcome:
    """What is so already takes no revision: members join again with each connection."""
    entry = state.get(change.key)
    if entry is not None and entry.value == value:
        return Unchanged(entry.revision)
    return with_home(state, change.key, value)
