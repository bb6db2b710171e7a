"""What components say of themselves: `record/<kind>/<name>`.

A kind's own schema is checked before a record is proposed; here it is any object that is not large.
"""

import msgspec

from nm_bus.codes import BAD_VALUE, UNKNOWN_KEY
from nm_bus.core.ledger.rules.outcome import Outcome, Refusal
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change

MOST_BYTES = 65_536


def put(state: State, change: Change) -> Outcome:
    """The record is this from now on."""
    if not change.value:
        return Refusal(BAD_VALUE, "the value is empty: delete the key instead")
    size = len(msgspec.json.encode(change.value))
    if size > MOST_BYTES:
        return Refusal(BAD_VALUE, f"the value has {size} bytes, {MOST_BYTES} are allowed")
    return {change.key: change.value}


def delete(state: State, change: Change) -> Outcome:
    """The record is no more."""
    if state.get(change.key) is None:
        return Refusal(UNKNOWN_KEY, f"{change.key} is not there")
    return {change.key: None}
