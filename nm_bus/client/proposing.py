"""Asking for a change until it is agreed or refused, with one id however often it is asked.

Accepted is not agreed: a change that one supernode has on its disk may still be refused when its
turn comes. Only an agreed one is reported as a success.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from nm_bus.client.asking import MAY_PASS, Asking, good, understood
from nm_bus.codes import CONFLICT, HELD
from nm_bus.errors import ConflictError, RefusedError, UndecidedError
from nm_bus.messages import Answer, Change, ChangeId, NodeId, Propose, Proposed, Seconds

PATIENCE: Seconds = 3.0
"""How long one supernode may take to have a change agreed before the next one is asked too."""

ON_THE_WAY: Seconds = 1.5
"""What an answer may take beyond that."""

CONFLICTS = frozenset({CONFLICT, HELD})
"""The refusals that mean that somebody else came first."""

Signed = Callable[[Change], tuple[Change, str]]
"""Signs a change; gives it with the certificate (PEM) whose key did."""


@dataclass
class Proposing:
    """What one principal asks for in one life of its program: its ids never come twice."""

    asking: Asking
    user: NodeId
    signed: Signed
    incarnation: str = field(default_factory=lambda: secrets.token_hex(8))
    _sequence: "count[int]" = field(default_factory=lambda: count(1))

    def change(
        self,
        kind: str,
        key: str,
        value: dict[str, Any] | None,
        *,
        base: int,
        expected: int | None,
        id: ChangeId = "",
    ) -> Change:
        """A new change; with `id`, the one that was asked before."""
        minted = id or f"{self.user}/{self.incarnation}/{next(self._sequence)}"
        return Change(minted, self.user, kind, key, base, value, expected)

    def agreed(self, change: Change, timeout: Seconds) -> Proposed:
        """Ask until it is agreed.

        Raises ConflictError and RefusedError for what was refused, and UndecidedError when the
        time was over first.
        """
        signed, certificate = self.signed(change)
        asked = Propose(signed, certificate, min(PATIENCE, timeout / (1 + self.asking.count)))
        judge = partial(_judged, _Acceptance(change.id))
        patience = asked.wait + ON_THE_WAY
        try:
            return self.asking.settled(asked, judge, timeout=timeout, patience=patience)
        except UndecidedError:
            raise
        except MAY_PASS as error:
            unknown = f"whether the change is agreed is not known ({error})"
            again = _later(change.id)
            raise UndecidedError(change.id, "", f"{unknown}; {again}") from None


def _later(id: ChangeId) -> str:
    return f"ask again with its id {id}, or see `nm-bus outcome {id}`"


@dataclass
class _Acceptance:
    """Which supernode accepted the change first: the error at the end names it."""

    id: ChangeId
    by: NodeId = ""


def _judged(acceptance: _Acceptance, answer: Answer, supernode: NodeId) -> Proposed:
    if not answer.ok and answer.code in CONFLICTS:
        raise ConflictError(answer.error or f"refused: {answer.code}", answer.code)
    proposed = understood(good(answer, supernode).data, Proposed)
    match proposed.state:
        case "agreed":
            return proposed
        case "accepted":
            acceptance.by = acceptance.by or supernode
            raise UndecidedError(
                acceptance.id,
                acceptance.by,
                f"{acceptance.by} accepted the change, but it is not agreed yet; "
                f"{_later(acceptance.id)}",
            )
    raise RefusedError(proposed.reason or f"refused: {proposed.code}", proposed.code)
