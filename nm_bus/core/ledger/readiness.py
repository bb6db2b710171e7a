"""Whether a standby may be given a vote: a voter that is not there makes every majority harder.

Asked where a change is proposed, by what that supernode has heard; applying does not ask, since
supernodes hear different things.
"""

from collections.abc import Mapping

from nm_bus.core.ledger.keys import name
from nm_bus.core.ledger.rules.supernodes import VOTER
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.voters import voter_id
from nm_bus.messages import Change, VoterId

NEAR = 100
"""So many slots behind the furthest is about where the others are: it takes one page to get there.
"""


def why_not_ready(change: Change, state: State, heights: Mapping[VoterId, int]) -> str:
    """Why the supernode that a change gives a vote to must wait for it; empty when it need not, and
    for every other change. `heights` are how far each was heard to be, the hearer too."""
    before, asked = state.value(change.key), change.value or {}
    if change.kind != "admit" or asked.get("role") != VOTER or before is None:
        return ""
    if before["role"] == VOTER:
        return ""
    node = name(change.key)
    height = heights.get(voter_id(node, before["incarnation"]))
    if height is None:
        who = f"{node} as {before['incarnation']}"
        return f"{who} has not been heard: see that it runs and has links, then promote it"
    behind = max(heights.values()) - height
    if behind > NEAR:
        return f"{node} is {behind} decisions behind the others: promote it once it has caught up"
    return ""
