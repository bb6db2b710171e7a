"""Locks: `lock/<name>`, held by one session at most.

A lock's token is the revision that granted it: it grows for ever, so whatever the lock protects can
refuse a holder that was late. Without that, a lock promises nothing to one who pauses.
"""

from nm_bus.codes import BAD_VALUE, HELD, NOT_ALLOWED, UNKNOWN_KEY
from nm_bus.core.ledger.keys import name
from nm_bus.core.ledger.roles import is_administrator
from nm_bus.core.ledger.rules import sessions
from nm_bus.core.ledger.rules.outcome import Outcome, Refusal, Unchanged
from nm_bus.core.ledger.rules.values import read
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.usage import LOCK
from nm_bus.messages import Change, Entry
from nm_bus.messages.base import Nested

MOST, MOST_OF_ONE = 10_000, 100
"""How many locks may be held in a project, and by one principal in all its sessions."""


class Holding(Nested, frozen=True):
    """The key of the session that holds the lock or wants it; `generation` 0 is any."""

    session: str
    generation: int = 0


class Freeing(Nested, frozen=True):
    """As `Holding`; an administrator needs to name no session."""

    session: str = ""
    generation: int = 0


def lock(state: State, change: Change) -> Outcome:
    """Hold the lock, until it is unlocked or the session ends. Asked again: the same token."""
    holding = read(change.value, Holding)
    if isinstance(holding, Refusal):
        return holding
    session = _own_session(state, change, holding.session, holding.generation)
    if isinstance(session, Refusal):
        return session
    held = state.get(change.key)
    if held is not None and held.value["session"] == session.key:
        return Unchanged(held.value["token"])
    if held is not None:
        return Refusal(HELD, f"{name(change.key)} is held by {held.value['session']}")
    token = state.revision + 1
    value = {"session": session.key, "owner": change.actor, "token": token}
    return _too_many(state, change.actor) or {change.key: value}


def _too_many(state: State, actor: str) -> Refusal | None:
    if state.count(sessions.LOCKS) >= MOST:
        return Refusal(BAD_VALUE, f"{MOST} locks are held: unlock some first")
    if state.used(actor, LOCK).keys >= MOST_OF_ONE:
        return Refusal(BAD_VALUE, f"{actor} holds {MOST_OF_ONE} locks: unlock some first")
    return None


def unlock(state: State, change: Change) -> Outcome:
    """Free a lock: its holder's session does, or an administrator."""
    freeing = read(change.value, Freeing)
    if isinstance(freeing, Refusal):
        return freeing
    held = state.get(change.key)
    if held is None:
        return Refusal(UNKNOWN_KEY, f"{name(change.key)} is not locked")
    if is_administrator(state, change.actor) and not freeing.session:
        return {change.key: None}
    session = _own_session(state, change, freeing.session, freeing.generation)
    if isinstance(session, Refusal):
        return session
    if held.value["session"] != session.key:
        return Refusal(HELD, f"{name(change.key)} is held by {held.value['session']}")
    return {change.key: None}


def _own_session(state: State, change: Change, key: str, generation: int) -> Entry | Refusal:
    if not key:
        return Refusal(BAD_VALUE, "session: say as which session, session/<principal>/<name>")
    found = sessions.find(state, key, generation)
    if isinstance(found, Entry) and found.value["owner"] != change.actor:
        return Refusal(NOT_ALLOWED, f"{key} is not a session of {change.actor}")
    return found
