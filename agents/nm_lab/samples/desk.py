"""A ledger on one's desk: changes are applied as they are asked for, with no supernode in between.

For tests of what changes do, and of whoever lives by the ledger.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nm_bus.core.ledger.applying import Applied, apply
from nm_bus.core.ledger.genesis import genesis
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change, Entry
from nm_bus.project import Project, check_project

SUPERNODES = ("s1.org", "s2.org", "s3.org")


def project(**changes: Any) -> Project:
    """A project of three supernodes, with `admin`, and `pub` who publishes `search`."""
    raw = {
        "project": "test",
        "supernodes": [{"node": node} for node in SUPERNODES],
        "administrators": ["admin"],
        "publishers": [{"principal": "pub", "components": ["search"]}],
    }
    return check_project(raw | changes, Path("project.toml"))


class CountedEntries(dict[str, Entry]):
    """The entries of a state, and how often one of them was read."""

    reads = 0

    def __getitem__(self, key: str) -> Entry:
        """See dict."""
        self.reads += 1
        return super().__getitem__(key)

    def get(self, key: str, default: Entry | None = None) -> Entry | None:  # type: ignore[override]
        """See dict."""
        self.reads += 1
        return super().get(key, default)


@dataclass
class Desk:
    """A ledger, what was asked of it, and the clock that each change moves on by one."""

    state: State = field(default_factory=lambda: genesis(project()))
    asked: list[Change] = field(default_factory=list)

    def ask(
        self,
        actor: str,
        kind: str,
        key: str,
        value: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Applied:
        """Apply a change of this actor, with an id of its own unless one is given."""
        id_ = fields.pop("id", f"{actor}/desk/{len(self.asked) + 1}")
        change = Change(id_, actor, kind, key, value=value, **fields)
        self.asked.append(change)
        self.state.time += 1
        return apply(self.state, change, self.state.time)

    def counted(self) -> CountedEntries:
        """Count from now on how often an entry is read."""
        counted = CountedEntries(self.state.entries)
        self.state.entries = self.state.loads.entries = counted
        return counted

    def done(
        self,
        actor: str,
        kind: str,
        key: str,
        value: dict[str, Any] | None = None,
        **fields: Any,
    ) -> int:
        """Apply a change that must be agreed on; its revision."""
        answer = self.ask(actor, kind, key, value, **fields).answer
        assert answer.state == "agreed", answer
        return answer.revision

    def refused(
        self,
        actor: str,
        kind: str,
        key: str,
        value: dict[str, Any] | None = None,
        **fields: Any,
    ) -> str:
        """Apply a change that must be refused; the code of its refusal."""
        applied = self.ask(actor, kind, key, value, **fields)
        assert applied.answer.state == "refused", applied.answer
        assert applied.answer.reason
        assert (applied.update, applied.entries) == (None, {})
        return applied.answer.code
