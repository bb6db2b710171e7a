"""Who decides: `supernode/<node>`, a `voter`, or a `standby` that follows without a vote.

A supernode comes as a standby and becomes a voter by a change of its own, once it has caught up.
Who lost its disk comes again under a new incarnation, since the old one may have voted.
"""

from typing import Annotated, Literal

from msgspec import Meta

from nm_bus.codes import BAD_VALUE, NO_MAJORITY, UNKNOWN_KEY
from nm_bus.core.ledger.keys import NODE, SUPERNODES, WORD, name
from nm_bus.core.ledger.rules.homes import with_homes
from nm_bus.core.ledger.rules.outcome import Outcome, Refusal
from nm_bus.core.ledger.rules.values import read
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change
from nm_bus.messages.base import Nested

VOTER, STANDBY = "voter", "standby"


class SupernodeValue(Nested, frozen=True):
    """A supernode's entry."""

    role: Literal["voter", "standby"]
    incarnation: Annotated[str, Meta(pattern=rf"^{WORD}\Z", max_length=64)]
    host: Annotated[str, Meta(pattern=rf"^{NODE}\Z", max_length=200)]
    weight: Annotated[int, Meta(ge=1, le=100)] = 1
    port: Annotated[int, Meta(ge=1, le=65_535)] = 5671


def admit(state: State, change: Change) -> Outcome:
    """A supernode comes, or is another from now on; what is not said stays as it was."""
    before, asked = state.value(change.key), change.value or {}
    if before is None and "incarnation" not in asked:
        who = name(change.key)
        return Refusal(BAD_VALUE, f"{who} is no supernode: admit it first, with its incarnation")
    new = {"role": STANDBY, "host": name(change.key), "weight": 1, "port": 5671}
    after = {**(before or new), **asked}
    form = read(after, SupernodeValue)
    if isinstance(form, Refusal):
        return form
    is_known = before is not None and before["incarnation"] == form.incarnation
    if form.role == VOTER and not is_known:
        who = f"{name(change.key)} as {form.incarnation}"
        return Refusal(BAD_VALUE, f"role: {who} must come as a standby first, and catch up")
    if form.role == STANDBY and not _others_vote(state, change):
        return _no_majority(change)
    is_new_voter = form.role == VOTER and (before or {}).get("role") != VOTER
    return with_homes(state, {change.key: after}, name(change.key) if is_new_voter else "")


def dismiss(state: State, change: Change) -> Outcome:
    """A supernode goes, and its members go to the others."""
    if state.get(change.key) is None:
        return Refusal(UNKNOWN_KEY, f"{name(change.key)} is no supernode")
    if not _others_vote(state, change):
        return _no_majority(change)
    return with_homes(state, {change.key: None})


def _others_vote(state: State, change: Change) -> bool:
    others = (entry for entry in state.under(SUPERNODES) if entry.key != change.key)
    return any(entry.value["role"] == VOTER for entry in others)


def _no_majority(change: Change) -> Refusal:
    reason = f"{name(change.key)} is the last voter: nothing could be agreed on without it"
    return Refusal(NO_MAJORITY, reason)
