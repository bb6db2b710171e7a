"""Who may ask for what: one table, which decides when a change is applied.

Administrators and publishers are those whom `role/<principal>` names; members and supernodes those
that have their entry. Whoever the broker knows may hold sessions and locks of its own.
"""

from collections.abc import Callable
from enum import StrEnum

from nm_bus.codes import NOT_ALLOWED
from nm_bus.core.ledger.keys import family, name
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change


class Role(StrEnum):
    """What an actor is to a change, as it is said to people."""

    ADMINISTRATOR = "an administrator"
    PUBLISHER = "a publisher of the component"
    SUPERNODE = "a supernode"
    OWNER = "whom it belongs to"
    ANYONE = "anyone"


MAY: dict[tuple[str, str], tuple[Role, ...]] = {
    ("set", "config"): (Role.ADMINISTRATOR, Role.PUBLISHER),
    ("delete", "config"): (Role.ADMINISTRATOR, Role.PUBLISHER),
    ("set", "record"): (Role.ADMINISTRATOR, Role.PUBLISHER, Role.OWNER),
    ("delete", "record"): (Role.ADMINISTRATOR, Role.PUBLISHER, Role.OWNER),
    ("set", "role"): (Role.ADMINISTRATOR,),
    ("delete", "role"): (Role.ADMINISTRATOR,),
    ("set", "policy"): (Role.ADMINISTRATOR,),
    ("delete", "policy"): (Role.ADMINISTRATOR,),
    ("set", "silence"): (Role.ADMINISTRATOR,),
    ("delete", "silence"): (Role.ADMINISTRATOR,),
    ("join", "member"): (Role.ADMINISTRATOR, Role.SUPERNODE),
    ("leave", "member"): (Role.ADMINISTRATOR, Role.SUPERNODE, Role.OWNER),
    ("maintain", "member"): (Role.ADMINISTRATOR, Role.OWNER),
    ("resume", "member"): (Role.ADMINISTRATOR, Role.OWNER),
    ("remove", "member"): (Role.ADMINISTRATOR,),
    ("admit", "supernode"): (Role.ADMINISTRATOR,),
    ("dismiss", "supernode"): (Role.ADMINISTRATOR,),
    ("open", "session"): (Role.OWNER,),
    ("close", "session"): (Role.ADMINISTRATOR, Role.OWNER),
    ("expire", "session"): (Role.SUPERNODE,),
    ("lock", "lock"): (Role.ANYONE,),
    ("unlock", "lock"): (Role.ANYONE,),
}
"""By the kind of change and the family of its key. What is not in it, nobody may."""


def refusal(state: State, change: Change) -> Refusal | None:
    """Why the actor may not ask for this, if so."""
    roles = MAY[change.kind, family(change.key)]
    if any(_IS[role](state, change) for role in roles):
        return None
    allowed = " or ".join(roles)
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


_IS: dict[Role, Callable[[State, Change], bool]] = {
    Role.ADMINISTRATOR: lambda state, change: is_administrator(state, change.actor),
    Role.PUBLISHER: _publishes,
    Role.SUPERNODE: lambda state, change: is_supernode(state, change.actor),
    Role.OWNER: _owns,
    Role.ANYONE: lambda _state, _change: True,
}
