"""The state before the first revision: what the project file says, the same at every supernode.

Its head is the file's identity, so the chains of two files that differ never meet.
"""

from base64 import b32encode
from collections.abc import Iterator

from nm_bus.core.ledger.rules.outcome import Value
from nm_bus.core.ledger.state import State
from nm_bus.messages import Entry
from nm_bus.project import FirstSupernode, Project, identity

INCARNATION = "genesis"
"""The incarnation of every supernode that a project begins with."""

ACTOR = "genesis"
"""Whose entries these are."""


def genesis(project: Project) -> State:
    """The state at revision 0 of epoch 1. The same file gives the same, whatever its order."""
    entries = (Entry(key, value, 0, ACTOR) for key, value in _values(project))
    return State(project.project, epoch=1, revision=0, head=identity(project), entries=entries)


def fingerprint(beginning: str) -> str:
    """An identity's first 80 bits as four groups of four letters and digits, to be compared by
    telephone; empty for one that is not known."""
    letters = b32encode(bytes.fromhex(beginning)[:10]).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def is_same_beginning(ours: str, theirs: str) -> bool:
    """Whether two ledgers may count each other's votes, by the fingerprints of their beginnings.

    A newcomer knows none yet: it has no vote, and takes its beginning with its first snapshot.
    """
    return "" in (ours, theirs) or ours == theirs


def other_beginning(ours: str, theirs: str) -> str:
    """What is wrong between two ledgers that began differently, and the way out."""
    return (
        f"it began with another project file ({theirs}, here {ours}): where the wrong one was"
        " taken, stop the supernode, `nm-bus init --replace --project FILE --config FILE`, start it"
    )


def _values(project: Project) -> Iterator[tuple[str, Value]]:
    for one in project.supernodes:
        yield f"supernode/{one.node}", _supernode(one)
    components = {one.principal: sorted(set(one.components)) for one in project.publishers}
    for principal in sorted({*project.administrators, *components}):
        role: Value = {"administrator": True} if principal in project.administrators else {}
        if principal in components:
            role["publisher"] = components[principal]
        yield f"role/{principal}", role


def _supernode(one: FirstSupernode) -> Value:
    return {
        "role": one.role,
        "incarnation": INCARNATION,
        "weight": one.weight,
        "host": one.host or one.node,
        "port": one.port,
    }
