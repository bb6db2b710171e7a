"""What an ingest process says of its members, to its supernode and to all others at once."""

import logging
from dataclasses import dataclass

from nm_agents.host.sender import Sender
from nm_agents.ingest.inheritance import Inheritance
from nm_agents.ingest.memory import Memory
from nm_bus.core.ingest import Ingest
from nm_bus.core.windows import Windows
from nm_bus.messages import Rollups, Seconds, Statement
from nm_bus.settings import Timing
from nm_bus.topology import REPORTS, LinkKind

_LOG = logging.getLogger(__name__)

CLOSED_AT_ONCE = 200
"""How many members' minutes are told in one tick: all of thousands would delay their heartbeats."""


@dataclass(slots=True)
class Statements:
    """The changes at once or every few seconds, all members now and then, minutes as they end."""

    sender: Sender
    timing: Timing
    ingest: Ingest
    windows: Windows
    memory: Memory
    inheritance: Inheritance
    _rollups: int = 0
    _next_statement: Seconds = 0.0
    _next_roster: Seconds = 0.0

    def again(self) -> None:
        """What was said before may not have been received: say all of it soon."""
        self._next_roster = 0.0

    def tick(self, now: Seconds) -> None:
        """Judge the members, and say what is to be said now."""
        self._forget(self.ingest.tick(now))
        if self.inheritance.is_settled:
            self._say(now)
        else:
            # all members are named once the others have spoken too: none shall be missing meanwhile
            self._forget(self.inheritance.tick(now))
            self._next_roster = now + self.timing.roster

    def _forget(self, nodes: list[str]) -> None:
        for node in nodes:
            self.windows.forget(node)
            self.memory.changed(node)

    def _say(self, now: Seconds) -> None:
        if now >= self._next_roster:
            self._next_roster = now + self.timing.roster
            self._next_statement = now + self.timing.statement
            self._state(said := list(self.ingest.roster(now)))
            if said[-1].roster is None:
                _LOG.warning("too many members for one list of them: raise limits.partitions")
        elif now >= self._next_statement or self.ingest.urgent:
            self._next_statement = now + self.timing.statement
            self._state(list(self.ingest.changes(now)))
        self._close_minutes(now)

    def _state(self, statements: list[Statement]) -> None:
        for statement in statements:
            for state in statement.members:
                self.memory.changed(state.node)
            self.sender.publish(REPORTS, f"{LinkKind.BULK}.statement", statement)

    def _close_minutes(self, now: Seconds) -> None:
        origin, partition, life = self.ingest.origin, self.ingest.partition, self.ingest.incarnation
        for closed in self.windows.close(now, CLOSED_AT_ONCE):
            self._rollups += 1
            span = closed.start, closed.length, closed.nodes
            rollups = Rollups(origin, partition, life, self._rollups, *span)
            self.sender.publish(REPORTS, f"{LinkKind.BULK}.rollups", rollups)
