"""Questions to members: handed to the member by way of its home; its report is the answer."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from nm_agents.host.inbound import Routes
from nm_agents.host.sender import Sender
from nm_agents.supernode.asker import Asker
from nm_agents.supernode.part import Part, Requested
from nm_bus.codec import LONG
from nm_bus.codes import REFUSED, UNAVAILABLE, UNKNOWN_NODE
from nm_bus.core.view import View, unknown
from nm_bus.identity.role import Role
from nm_bus.messages import Answer, Ask, Event, Message, NodeId, Report, Seconds
from nm_bus.topology import LinkKind, inbox_queue, out_exchange
from nm_bus.transport.base import Delivery, Transport

_LOG = logging.getLogger(__name__)

PATIENCE: Seconds = 30.0
"""How long a question to a member may stay open."""

MOST_OPEN = 1_000
"""Questions that may be open at once; one more is refused."""


@dataclass(frozen=True, slots=True)
class ForwardedAsk:
    """An asker that is another supernode, on behalf of a client of its own."""

    sender: Sender
    user: NodeId
    request: str
    role: str = Role.SUPERNODE

    def reply(self, data: object) -> None:
        """Answer by a report, which the other supernode passes on."""
        self._report(Report(self.request, self.sender.source, ok=True, answer=_table(data)))

    def refuse(self, _code: str, error: str) -> None:
        """Answer by a report that has only the sentence."""
        self._report(Report(self.request, self.sender.source, ok=False, error=error[:LONG]))

    def give(self, make: Callable[[], Answer]) -> None:
        """Answer at once."""
        self.reply(make().data)

    def _report(self, report: Report) -> None:
        self.sender.publish(out_exchange(self.user), f"{LinkKind.CONTROL}.report", report)


@dataclass(slots=True)
class AsksPart(Part):
    """The questions that are open at one supernode."""

    transport: Transport
    sender: Sender
    view: View
    _open: dict[str, Asker] = field(default_factory=dict)

    def requests(self) -> dict[type[Message], Requested]:
        """Ask."""
        return {Ask: self._ask}

    def from_peers(self) -> Routes:
        """Questions for members that are at home here, and answers of members elsewhere."""
        return {Ask: self._relayed, Report: self._answered_there}

    def from_principals(self) -> Routes:
        """The answers of members that are at home here."""
        return {Report: self._answered_here}

    def _relayed(self, event: Event[Ask], _delivery: Delivery, _now: Seconds) -> None:
        self._ask(event.data, ForwardedAsk(self.sender, event.source, event.data.request))

    def _answered_there(self, event: Event[Report], _delivery: Delivery, _now: Seconds) -> None:
        self._close(event.data)

    def _answered_here(self, event: Event[Report], delivery: Delivery, _now: Seconds) -> None:
        report, user = event.data, delivery.user_id
        if report.node == user:
            self._close(report)
        else:
            _LOG.warning("%s sent an answer in the name of %s; it is dropped", user, report.node)

    def _ask(self, ask: Ask, asker: Asker) -> None:
        home, here = self.view.home(ask.node), self.sender.source
        if home is None:
            asker.refuse(UNKNOWN_NODE, unknown(ask.node))
        elif len(self._open) >= MOST_OPEN:
            asker.refuse(UNAVAILABLE, "too many questions are open; ask again later")
        elif home == here:
            self._hand(asker, ask, "", inbox_queue(ask.node))
        elif asker.role == Role.SUPERNODE:
            asker.refuse(UNAVAILABLE, f"{ask.node} has just moved to {home}; ask again")
        else:
            self._hand(asker, ask, out_exchange(home), f"{LinkKind.CONTROL}.ask")

    def _hand(self, asker: Asker, ask: Ask, exchange: str, key: str) -> None:
        """Pass it on under an id of this supernode: who answers learns nothing of the asker."""
        relayed = msgspec.structs.replace(ask, request=secrets.token_hex(16))
        self._open[relayed.request] = asker
        self.transport.later(PATIENCE, partial(self._give_up, relayed.request, ask.node))
        self.sender.publish(exchange, key, relayed, expiration=PATIENCE)

    def _close(self, report: Report) -> None:
        """A question is answered; an answer that nobody waits for is dropped."""
        asker = self._open.pop(report.request, None)
        if asker is None:
            return
        if report.ok:
            asker.reply(report.answer)
        else:
            asker.refuse(REFUSED, report.error)

    def _give_up(self, request: str, node: NodeId) -> None:
        asker = self._open.pop(request, None)
        if asker is not None:
            asker.refuse(UNAVAILABLE, f"{node} did not answer within {PATIENCE:g} s")


def _table(data: object) -> dict[str, object]:
    found = msgspec.to_builtins(data)
    assert isinstance(found, dict)
    return found
