"""The members' homes, which change with who is a member and who is a supernode with a vote."""

from nm_bus.core.ledger.placement import PlacedMember, moves
from nm_bus.core.ledger.rules.outcome import Effects, Value
from nm_bus.core.ledger.state import SUPERNODES, State
from nm_bus.messages import NodeId

MEMBERS = "member/"


def with_homes(state: State, effects: Effects, newcomer: NodeId = "") -> Effects:
    """The effects, and with them what they mean for the homes of members that have not left."""
    values = _values(state, MEMBERS, effects)
    members = {
        node: PlacedMember(value["home"], value["weight"], value["state"] == "maintenance")
        for node, value in values.items()
        if value["state"] != "left"
    }
    supernodes = {
        node: value["weight"]
        for node, value in _values(state, SUPERNODES, effects).items()
        if value["role"] == "voter"
    }
    moved = moves(members, supernodes, newcomer)
    return effects | {MEMBERS + node: values[node] | {"home": home} for node, home in moved.items()}


def _values(state: State, prefix: str, effects: Effects) -> dict[str, Value]:
    """The values under a prefix as they are after the effects, by what follows the prefix."""
    values: Effects = {entry.key: entry.value for entry in state.under(prefix)}
    values |= {key: value for key, value in effects.items() if key.startswith(prefix)}
    return {key.removeprefix(prefix): value for key, value in values.items() if value is not None}
