"""What a supernode is asked about the federation, and what is made of its answers."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from nm_bus.client.asking import ROUNDS, Asking, Judge, T, good, understood
from nm_bus.client.federation.picture import Picture, active, alert_rank, is_under, whole
from nm_bus.client.silence import Said
from nm_bus.errors import RefusedError
from nm_bus.messages import (
    Alert,
    Answer,
    Ask,
    DomainKey,
    Message,
    NodeDetail,
    NodeId,
    Overview,
    Query,
    Seconds,
)

PAGES = 10_000
"""More pages than any federation has: an answer that claims more is refused."""


@dataclass(frozen=True, slots=True)
class FederationQuestions:
    """Asks whichever supernode answers. `said` hears what an answer could not hold."""

    asking: Asking
    timeout: Seconds
    said: Said

    def _asked(self, message: Message, judge: Judge[T]) -> T:
        return self.asking.settled(
            message, judge, timeout=self.timeout, patience=self.timeout, rounds=ROUNDS
        )

    def picture(self) -> Picture:
        """Everything that a supernode knows of members, supernodes, links and alerts."""
        first = self._page(0)
        if first.pages > PAGES:
            raise RefusedError(f"{first.answered_by} claims {first.pages} pages, which cannot be")
        return whole([first, *(self._page(n) for n in range(1, first.pages))])

    def _page(self, number: int) -> Overview:
        answer = self._asked(Query("status", page=number), good)
        return understood(answer.data, Overview)

    def node(self, node: NodeId) -> NodeDetail:
        """One node with its metrics. Raises RefusedError when nobody knows it."""
        return understood(self._asked(Query("node", node=node.lower()), good).data, NodeDetail)

    def alerts(self, under: DomainKey) -> list[Alert]:
        """The alerts whose condition holds now, the most severe first."""
        answer = self._asked(Query("alerts"), good)
        try:
            known = msgspec.convert(answer.data.get("alerts", []), tuple[Alert, ...])
        except msgspec.ValidationError as error:
            text = f"the supernode's alerts are not understood: {error}"
            raise RefusedError(text) from None
        if answer.data.get("more"):
            self.said("more alerts are active than one answer holds; following gives them all")
        return sorted((a for a in active(known) if is_under(a.subject, under)), key=alert_rank)

    def clock(self) -> Seconds | None:
        """What a supernode's clock says, in seconds since 1970; None when it does not say."""
        now = self._asked(Query("time"), good).data.get("now")
        return float(now) if isinstance(now, int | float) else None

    def ask(self, node: NodeId, what: str, check: str = "") -> dict[str, Any]:
        """A question that travels to the member itself; what it answers, as it says it."""
        question = Ask(request=uuid4().hex, node=node.lower(), what=what, check=check)
        answer = self._asked(question, _as_it_is)
        return good(answer, "the supernode").data


def _as_it_is(answer: Answer, _supernode: NodeId) -> Answer:
    return answer
