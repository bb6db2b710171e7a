"""What components say of themselves: `record/<kind>/<name>`.

A kind's own schema is checked before a record is proposed; here it is any object that is not large.
"""

from nm_bus.codes import BAD_VALUE, UNKNOWN_KEY
from nm_bus.core.ledger.roles import is_administrator, is_publisher
from nm_bus.core.ledger.rules.outcome import Outcome, Refusal
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.usage import RECORD, Used, size_of
from nm_bus.messages import Change

MOST_BYTES = 65_536

OF_A_NODE, OF_A_PUBLISHER = Used(200, 1024 * 1024), Used(10_000, 64 * 1024 * 1024)
"""How many records a principal may have, and of how many bytes together; administrators all."""


def put(state: State, change: Change) -> Outcome:
    """The record is this from now on."""
    if not change.value:
        return Refusal(BAD_VALUE, "the value is empty: delete the key instead")
    size = size_of(change.value)
    if size > MOST_BYTES:
        return Refusal(BAD_VALUE, f"the value has {size} bytes, {MOST_BYTES} are allowed")
    return _too_many(state, change, size) or {change.key: change.value}


def _too_many(state: State, change: Change, size: int) -> Refusal | None:
    """Everybody keeps every record, so nobody may fill the ledger with them."""
    if is_administrator(state, change.actor):
        return None
    used, before = state.used(change.actor, RECORD), state.get(change.key)
    is_own = before is not None and before.actor == change.actor
    keys = used.keys + (not is_own)
    total = used.bytes + size - (size_of(before.value) if before is not None and is_own else 0)
    most = OF_A_PUBLISHER if is_publisher(state, change.actor) else OF_A_NODE
    if keys <= most.keys and total <= most.bytes:
        return None
    said = f"{most.keys} records of {most.bytes} bytes together"
    return Refusal(BAD_VALUE, f"{change.actor} may have {said}: delete some first")


def delete(state: State, change: Change) -> Outcome:
    """The record is no more."""
    if state.get(change.key) is None:
        return Refusal(UNKNOWN_KEY, f"{change.key} is not there")
    return {change.key: None}
