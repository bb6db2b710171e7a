"""A new epoch: when a majority of voters is lost for good, one survivor decides alone from then on.

Nobody agrees on it, so it is no rule of `applying`, and whoever asks for one as a change is
refused. It is the next revision all the same: the chain goes on, and tells who began it and where.
"""

from datetime import UTC, datetime

from nm_bus.core.ledger.applying import Applied, effective
from nm_bus.core.ledger.keys import SUPERNODES
from nm_bus.core.ledger.rules.homes import with_homes
from nm_bus.core.ledger.rules.outcome import Effects
from nm_bus.core.ledger.rules.supernodes import VOTER
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.voters import node_of
from nm_bus.messages import Change, Micros, VoterId

KIND = "epoch"
"""The kind of the change that begins one; its key is the survivor's."""

DAY: Micros = 86_400_000_000


def next_epoch(epoch: int, moment: Micros) -> int:
    """The number of an epoch that begins now: its date and time (UTC) as digits.

    So two survivors that each begin one do not have the same, and the later one wins.
    """
    began = datetime.fromtimestamp(moment / 1_000_000, UTC)
    return max(epoch + 1, int(f"{began:%Y%m%d%H%M%S}"))


def is_ahead(epoch: int, moment: Micros) -> bool:
    """Whether an epoch is more than a day ahead of the clock: then nobody can have begun it."""
    return epoch > next_epoch(0, moment + DAY)


def why_not(state: State, voter: VoterId) -> str:
    """Why an epoch cannot begin with this supernode, in the form `is ...`; empty when it can."""
    if voter not in state.voters | state.standbys:
        return f"is of {voter}, which is no supernode of the project at revision {state.revision}"
    return ""


def beginning(state: State, voter: VoterId, by: str, moment: Micros) -> Change:
    """The change that begins an epoch, not signed yet: from where, by whom, without whom."""
    node, number = node_of(voter), next_epoch(state.epoch, moment)
    return Change(
        id=f"{node}/epoch-{number}/1",
        actor=node,
        kind=KIND,
        key=SUPERNODES + node,
        base=state.revision,
        value={
            "epoch": number,
            "revision": state.revision,
            "head": state.head,
            "by": by,
            "without": sorted((state.voters | state.standbys) - {voter}),
        },
        timestamp=moment,
        supernode=node,
    )


def begin(state: State, change: Change) -> Applied:
    """Begin the epoch of a `beginning`: its supernode is the only one, all members live there."""
    effects: Effects = {
        entry.key: {**entry.value, "role": VOTER} if entry.key == change.key else None
        for entry in state.under(SUPERNODES)
    }
    state.epoch = (change.value or {})["epoch"]
    state.time = max(state.time + 1, change.timestamp)
    return effective(state, change, state.time, with_homes(state, effects))
