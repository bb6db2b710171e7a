"""The members' homes, which change with who is a member and who is a supernode with a vote."""

from nm_bus.core.ledger.keys import MEMBERS, SUPERNODES, name
from nm_bus.core.ledger.loads import LoadsWithOne, placed_member, weight_of
from nm_bus.core.ledger.placement import moves, moves_of_one
from nm_bus.core.ledger.rules.outcome import Effects, Value
from nm_bus.core.ledger.state import State
from nm_bus.messages import NodeId


def with_home(state: State, key: str, value: Value) -> Effects:
    """A member's entry, and with it what that means for its home and those of the others.

    Costs the same however many others there are.
    """
    if not state.loads.all_have_a_home:
        return with_homes(state, {key: value})
    node, one = name(key), placed_member(value)
    residents = LoadsWithOne(state.loads, node, one)
    moved = moves_of_one(residents, node, is_member=one is not None)
    effects: Effects = {key: value}
    for other, home in moved.items():
        before = value if other == node else state.entries[MEMBERS + other].value
        effects[MEMBERS + other] = before | {"home": home}
    return effects


def with_homes(state: State, effects: Effects, newcomer: NodeId = "") -> Effects:
    """The effects, and with them what they mean for the homes of members that have not left.

    Looks at every member, which is for changes of supernodes: those are rare.
    """
    values = _values(state, MEMBERS, effects)
    placed = ((node, placed_member(value)) for node, value in values.items())
    members = {node: one for node, one in placed if one is not None}
    weights = {
        node: weight_of(value) for node, value in _values(state, SUPERNODES, effects).items()
    }
    supernodes = {node: weight for node, weight in weights.items() if weight}
    moved = moves(members, supernodes, newcomer)
    return effects | {MEMBERS + node: values[node] | {"home": home} for node, home in moved.items()}


def _values(state: State, prefix: str, effects: Effects) -> dict[str, Value]:
    """The values under a prefix as they are after the effects, by what follows the prefix."""
    values: Effects = {entry.key: entry.value for entry in state.under(prefix)}
    values |= {key: value for key, value in effects.items() if key.startswith(prefix)}
    return {key.removeprefix(prefix): value for key, value in values.items() if value is not None}
