"""What an actor is to a change, which decides whether it may be applied.

Administrators and publishers are those whom `role/<principal>` names; members and supernodes those
that have their entry. Whoever the broker knows may hold sessions and locks of its own.
"""

from collections.abc import Callable
from enum import StrEnum

from nm_bus.codes import NOT_ALLOWED
from nm_bus.core.ledger.keys import name
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change


class Relation(StrEnum):
    """What an actor is to a change, as it is said to people."""

    ADMINISTRATOR = "an administrator"
    PUBLISHER = "a publisher of the component"
    SUPERNODE = "a supernode"
    OWNER = "whom it belongs to"
    ANYONE = "anyone"


def refusal(state: State, change: Change, may: tuple[Relation, ...]) -> Refusal | None:
    """Why the actor may not ask for this, if so; `may` is whom the change is open to."""
    if any(_IS[relation](state, change) for relation in may):
        return None
    allowed = " or ".join(may)
    return Refusal(NOT_ALLOWED, f"{change.actor} may not {change.kind} {change.key}: {allowed} may")


def is_administrator(state: State, actor: str) -> bool:
    """Whether `role/<actor>` says so."""
    role = state.get(f"role/{actor}")
    return role is not None and role.value.get("administrator") is True


def is_publisher(state: State, actor: str, component: str = "") -> bool:
    """Whether the actor publishes the component; without one, any at all."""
    role = state.get(f"role/{actor}")
    components = role.value.get("publisher", []) if role else []
    return component in components if component else bool(components)


def is_member(state: State, actor: str) -> bool:
    """Whether the actor is a member that has not left."""
    member = state.get(f"member/{actor}")
    return member is not None and member.value.get("state") != "left"


def is_supernode(state: State, actor: str) -> bool:
    """Whether the actor is a supernode, with a vote or without."""
    return state.get(f"supernode/{actor}") is not None


def _publishes(state: State, change: Change) -> bool:
    """Of records, which belong to no component, any publisher."""
    words = change.key.split("/")
    return is_publisher(state, change.actor, words[1] if words[0] == "config" else "")


def _owns(state: State, change: Change) -> bool:
    """A node owns its membership and its records; whoever opened a session owns that."""
    actor, words = change.actor, change.key.split("/")
    if words[0] != "record":
        return words[1] == actor
    belongs = is_member(state, actor) or is_supernode(state, actor)
    return belongs and f"{name(name(change.key))}.".startswith(f"{actor}.")


_IS: dict[Relation, Callable[[State, Change], bool]] = {
    Relation.ADMINISTRATOR: lambda state, change: is_administrator(state, change.actor),
    Relation.PUBLISHER: _publishes,
    Relation.SUPERNODE: lambda state, change: is_supernode(state, change.actor),
    Relation.OWNER: _owns,
    Relation.ANYONE: lambda _state, _change: True,
}
