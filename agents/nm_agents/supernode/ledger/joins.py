"""Members that introduce themselves and that the ledger does not know yet are made to join."""

from dataclasses import dataclass, field
from functools import partial

from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_bus.core.ledger.rules.members import LEFT
from nm_bus.messages import NodeId, Proposed, Seconds

MOST = 1_000
"""How many joins may be under way; who is left out introduces itself again."""

AGAIN: Seconds = 60.0
"""A join that was refused is asked for again after this."""


@dataclass(slots=True)
class Joins:
    """The joins that one supernode proposes on its members' behalf."""

    driver: LedgerDriver
    _under_way: set[NodeId] = field(default_factory=set)
    _refused: dict[NodeId, Seconds] = field(default_factory=dict)

    def joined(self, node: NodeId) -> None:
        """A member for which the broker vouches has said hello: it joins, again too after it left,
        but not when an administrator removed it."""
        now = self.driver.transport.now()
        if node in self._under_way or not self._may_join(node):
            return
        if len(self._under_way) >= MOST or now < self._refused.get(node, now):
            return
        self._under_way.add(node)
        change = self.driver.own_change("join", f"member/{node}", {})
        if self.driver.propose(change, partial(self._done, node)) == "full":
            self._under_way.discard(node)

    def _may_join(self, node: NodeId) -> bool:
        entry = self.driver.state.get(f"member/{node}")
        return entry is None or (entry.value["state"] == LEFT and not entry.value.get("removed"))

    def _done(self, node: NodeId, answer: Proposed) -> None:
        now = self.driver.transport.now()
        self._under_way.discard(node)
        self._refused = {node: until for node, until in self._refused.items() if until > now}
        if answer.state == "refused":
            self._refused[node] = now + AGAIN
