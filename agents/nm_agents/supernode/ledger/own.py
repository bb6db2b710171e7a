"""The changes that a supernode takes: its own, and those of who asks it. Each is stamped once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from nm_agents.supernode.ledger.listeners import Done
from nm_agents.supernode.ledger.machine import LedgerMachine
from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.batches import FAR_AHEAD
from nm_bus.core.ledger.hybrid import HybridClock
from nm_bus.messages import Change, ChangeId, Micros
from nm_bus.storage.ledger import LedgerIdentity

MOST_OWN = 10_000
"""How many own changes may wait to be decided; one more is not taken."""

Sign = Callable[[Change], Change]


@dataclass(slots=True)
class OwnChanges:
    """What is taken here in one life of a ledger; `asked` has who is to be told of each."""

    identity: LedgerIdentity
    agreement: Agreement
    machine: LedgerMachine
    clock: HybridClock
    sign: Sign
    asked: dict[ChangeId, Done]
    _count: int = 0

    def taken(
        self,
        change: Change,
        done: Done,
        stamped: dict[ChangeId, Change],
        now: Micros,
        is_stopped: bool,
    ) -> str:
        """What becomes of one change; what is to be offered goes to `stamped`."""
        answer = self.machine.state.answer(change.id)
        if answer is not None:
            done(answer)
            return answer.state
        known = change.id in self.agreement.outbox or change.id in stamped
        waiting = len(self.agreement.outbox) + len(stamped)
        if not known and (is_stopped or waiting >= MOST_OWN):
            return "full"
        self.asked[change.id] = done
        if not known:
            moment, node = self.clock.tick(now, FAR_AHEAD), self.identity.node
            stamped[change.id] = msgspec.structs.replace(change, timestamp=moment, supernode=node)
        return "accepted"

    def change(
        self,
        base: int,
        kind: str,
        key: str,
        value: dict[str, Any] | None,
        expected: int | None,
    ) -> Change:
        """A new change in the supernode's own name, signed."""
        self._count += 1
        node = self.identity.node
        id = f"{node}/{self.identity.nonce}/{self._count}"
        return self.sign(Change(id, node, kind, key, base, value=value, expected=expected))
