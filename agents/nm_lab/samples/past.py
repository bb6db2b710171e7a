"""A ledger with its past, in memory: the real state and rules, and all updates kept.

For tests of whoever reads the ledger. Nothing is agreed here; each change counts at once.
"""

from dataclasses import dataclass, field
from typing import Any

from nm_bus.core.ledger.applying import Applied, apply
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change, Entry, Update
from nm_bus.testing.past import KeptUpdates

ADMINISTRATOR = "alice.llnl.gov"
START = 1_795_000_000_000_000
BEFORE_ALL = "f" * 64
"""The head of a project's beginning."""


def begun(epoch: int = 1) -> State:
    """A state that knows one administrator and nothing else."""
    role = Entry(f"role/{ADMINISTRATOR}", {"administrator": True}, 0, "genesis")
    return State("esgf", epoch=epoch, revision=0, head=BEFORE_ALL, entries=[role])


@dataclass(slots=True)
class Past(KeptUpdates):
    """A state and how it came about. `feed_from` is moved to forget what was before it."""

    state: State = field(default_factory=begun)
    _asked: int = 0

    def change(
        self, kind: str, key: str, value: dict[str, Any] | None = None, actor: str = ADMINISTRATOR
    ) -> Change:
        """A new change, not applied."""
        self._asked += 1
        return Change(f"{actor}/a1/{self._asked}", actor, kind, key, self.state.revision, value)

    def apply(self, change: Change) -> Applied:
        """Let a change count."""
        applied = apply(self.state, change, START + change.timestamp)
        if applied.update is not None:
            self.kept.append(applied.update)
        return applied

    def put(self, name: str, content: str = "x", component: str = "a") -> Update:
        """A new version of the document `config/a/<name>`, or of another component's."""
        value = {"content": content}
        applied = self.apply(self.change("set", f"config/{component}/{name}", value))
        assert applied.update is not None, applied.answer
        return applied.update
