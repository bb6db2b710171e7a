"""The ledger's own state as the machine that is agreed for, under the simulations' few changes.

They are read as documents, sessions, locks and supernodes, by the change's number alone.
"""

import msgspec

from nm_bus.core.ledger.applying import apply_batch
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.voters import node_of
from nm_bus.messages import Batch, Change, ChangeId, Entry, VoterId

ASKER = "p"
"""Who asks for everything in simulations: an administrator."""


class RealState:
    """A state with the voters and standbys of a simulation, which are named `<node>#1`."""

    def __init__(
        self,
        voters: frozenset[VoterId],
        standbys: frozenset[VoterId],
        state: State | None = None,
    ) -> None:
        seats = {**dict.fromkeys(voters, "voter"), **dict.fromkeys(standbys, "standby")}
        supernodes = [
            Entry(f"supernode/{node_of(one)}", _seat(one, role), 0, "genesis")
            for one, role in seats.items()
        ]
        role = Entry(f"role/{ASKER}", {"administrator": True}, 0, "genesis")
        self.state = state or State(
            "simulated", epoch=1, revision=0, head="0" * 64, entries=[*supernodes, role]
        )
        self.told: list[tuple[ChangeId, object]] = []

    @property
    def voters(self) -> frozenset[VoterId]:
        """The voters of the next slot."""
        return self.state.voters

    @property
    def standbys(self) -> frozenset[VoterId]:
        """Who follows without a vote."""
        return self.state.standbys

    @property
    def knows_rules(self) -> bool:
        """Always."""
        return True

    def apply(self, slot: int, batch: Batch) -> None:
        """Take the decision of the next slot."""
        changes = tuple(map(_meant, batch.changes))
        applied = apply_batch(self.state, msgspec.structs.replace(batch, changes=changes))
        self.told += [(each.change.id, each.answer) for each in applied]

    def is_answered(self, change: ChangeId) -> bool:
        """Whether the state has its answer."""
        return self.state.answer(change) is not None

    def copy(self) -> "RealState":
        """The same, by way of a snapshot as it travels."""
        return RealState(self.voters, self.standbys, State.of(self.state.snapshot()))

    def parts(self) -> tuple[object, ...]:
        """All of it."""
        return (self.state.snapshot(),)


def _meant(change: Change) -> Change:
    """What a change of the simulation stands for."""
    number = int(change.id.rpartition("/")[2])
    session = f"session/{ASKER}/s{number % 3}"
    if change.kind == "count":
        kind, key, value = _WORK[number % len(_WORK)]
        key = key.format(number % 3)
        value = {"session": session} if kind == "lock" else value
    else:
        kind, key = "admit", f"supernode/{node_of(change.key)}"
        value = _seat(change.key, "voter" if change.kind == "vote" else "standby")
    expected = 0 if number % 7 == 0 else None
    return msgspec.structs.replace(change, kind=kind, key=key, value=value, expected=expected)


_WORK: tuple[tuple[str, str, dict[str, object] | None], ...] = (
    ("open", "session/p/s{}", {"ttl": 10_000}),
    ("lock", "lock/l{}", None),
    ("set", "config/c/d{}", {"content": "x"}),
    ("lock", "lock/l0", None),
    ("set", "config/c/d0", {"content": "y"}),
    ("unlock", "lock/l{}", None),
    ("delete", "config/c/d{}", None),
    ("close", "session/p/s{}", None),
)
"""What is asked for in turn, on a few keys, so that much of it is refused."""


def _seat(voter: VoterId, role: str) -> dict[str, object]:
    node, _, incarnation = voter.partition("#")
    return {"role": role, "incarnation": incarnation, "host": node, "weight": 1, "port": 5671}
