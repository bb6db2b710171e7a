"""The state before the first revision: what the project file says, the same at every supernode.

Its head is the file's identity, so the chains of two files that differ never meet.
"""

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
