"""A ledger with its past, in memory: the real state and rules, and all updates kept.

For tests of whoever reads the ledger. Nothing is agreed here; each change counts at once.
"""

from dataclasses import dataclass, field
from typing import Any

from nm_bus.core.ledger.applying import Applied, apply
from nm_bus.core.ledger.keys import LOCKS
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change, Entry, NodeId, Update

ADMINISTRATOR = "alice.llnl.gov"
START = 1_795_000_000_000_000
BEFORE_ALL = "f" * 64
"""The head of a project's beginning."""


def begun(epoch: int = 1) -> State:
    """A state that knows one administrator and nothing else."""
    role = Entry(f"role/{ADMINISTRATOR}", {"administrator": True}, 0, "genesis")
    return State("esgf", epoch=epoch, revision=0, head=BEFORE_ALL, entries=[role])


@dataclass(slots=True)
class Past:
    """A state and how it came about. `feed_from` is moved to forget what was before it."""

    state: State = field(default_factory=begun)
    feed_from: int = 0
    kept_by: tuple[NodeId, ...] = ()
    kept: list[Update] = field(default_factory=list)
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

    def put(self, name: str, content: str = "x") -> Update:
        """A new version of the document `config/a/<name>`."""
        value = {"content": content}
        applied = self.apply(self.change("set", f"config/a/{name}", value))
        assert applied.update is not None, applied.answer
        return applied.update

    def kept_of(self, key: str, *, without_locks: bool = False) -> tuple[int, tuple[NodeId, ...]]:
        """The revision after which all are there, and who has more."""
        return self.feed_from, self.kept_by if self.feed_from else ()

    def updates(
        self, since: int, limit: int, key: str = "", *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions after one, oldest first."""
        found = self._of(key, without_locks=without_locks)
        return [each for each in found if each.revision > since][:limit]

    def history(
        self, key: str, before: int, limit: int, *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions before one, newest first."""
        found = self._of(key, without_locks=without_locks)
        return [each for each in found if not before or each.revision < before][::-1][:limit]

    def _of(self, key: str, *, without_locks: bool) -> list[Update]:
        found = [one for one in self.kept if one.revision > self.feed_from]
        if without_locks:
            found = [one for one in found if one.place.feed != LOCKS]
        return [one for one in found if key in ("", one.change.key)]
