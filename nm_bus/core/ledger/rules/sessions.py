"""Sessions: `session/<principal>/<name>`, as whose locks are held.

That a session's owner lives is told to a supernode, never to the ledger; silence is ended by
`expire`, which names the generation, so that a late one ends nothing newer.
"""

from typing import Annotated

from msgspec import Meta

from nm_bus.codes import BAD_VALUE, GONE
from nm_bus.core.ledger.rules.outcome import Effects, Outcome, Refusal
from nm_bus.core.ledger.rules.values import read
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change, Entry
from nm_bus.messages.base import Nested

MOST = 100
"""How many sessions a principal may have open."""

LOCKS = "lock/"


class Opening(Nested, frozen=True):
    """`ttl`: after how many milliseconds of silence the session may be ended."""

    ttl: Annotated[int, Meta(ge=100, le=86_400_000)]


class SessionEnd(Nested, frozen=True):
    """Which opening of the session is meant; 0 is the one that there is."""

    generation: int = 0


def open_(state: State, change: Change) -> Outcome:
    """A session begins; its generation is this revision. One that was open under the name ends."""
    opening = read(change.value, Opening)
    if isinstance(opening, Refusal):
        return opening
    principal = f"{change.key.rpartition('/')[0]}/"
    if state.get(change.key) is None and state.count(principal) >= MOST:
        return Refusal(BAD_VALUE, f"{change.actor} has {MOST} sessions open: close some first")
    session = {"owner": change.actor, "ttl": opening.ttl, "generation": state.revision + 1}
    return {change.key: session, **_freed(state, change.key)}


def close(state: State, change: Change) -> Outcome:
    """The owner is done; its locks are free."""
    return _ended(state, change, read(change.value, SessionEnd))


def expire(state: State, change: Change) -> Outcome:
    """A supernode has not heard of the owner; the generation must be the one that was silent."""
    ending = read(change.value, SessionEnd)
    if isinstance(ending, SessionEnd) and ending.generation == 0:
        return Refusal(BAD_VALUE, "generation: say which opening of the session was silent")
    return _ended(state, change, ending)


def find(state: State, session: str, generation: int) -> Entry | Refusal:
    """The open session of this key and, unless that is 0, of this generation."""
    entry = state.get(session) if session.startswith("session/") else None
    if entry is None:
        return Refusal(GONE, f"{session} is not open")
    if generation not in (0, entry.value["generation"]):
        now = entry.value["generation"]
        return Refusal(GONE, f"{session} of generation {generation} is gone: now it is {now}")
    return entry


def _ended(state: State, change: Change, ending: SessionEnd | Refusal) -> Outcome:
    if isinstance(ending, Refusal):
        return ending
    found = find(state, change.key, ending.generation)
    if isinstance(found, Refusal):
        return found
    return {change.key: None, **_freed(state, change.key)}


def _freed(state: State, session: str) -> Effects:
    return dict.fromkeys(state.locks_of(session))
