"""Introductions: a principal says hello, and is given its inbox."""

from dataclasses import dataclass
from functools import partial

from nm_agents.supernode.asker import Asker
from nm_agents.supernode.ledger.part import LedgerPart
from nm_agents.supernode.part import Part, Requested
from nm_broker.project import sizes_for
from nm_bus.codes import UNAVAILABLE
from nm_bus.identity.role import MEMBER
from nm_bus.messages import Hello, Message
from nm_bus.settings import SupernodeSettings
from nm_bus.topology import inbox_queue, inbox_topology
from nm_bus.transport.base import Outcome, Transport


@dataclass(slots=True)
class HelloPart(Part):
    """Makes inboxes. What the asker is, the broker has checked; its own word does not count."""

    settings: SupernodeSettings
    transport: Transport
    ledger: LedgerPart

    def requests(self) -> dict[type[Message], Requested]:
        """Hello."""
        return {Hello: self._hello}

    def _hello(self, _hello: Hello, asker: Asker) -> None:
        is_member = asker.role == MEMBER
        if is_member:
            self.ledger.joined(asker.user)
        sizes = sizes_for(self.settings.limits)
        topology = inbox_topology(asker.user, sizes, hears_updates=is_member)
        answer = {"queue": inbox_queue(asker.user), "supernode": self.settings.node}
        self.transport.declare(topology, partial(declared, asker, answer), renew=False)


def declared(asker: Asker, answer: dict[str, str], outcome: Outcome) -> None:
    """Answer an asker for whom a queue was to be made."""
    if outcome is Outcome.CONFIRMED:
        asker.reply(answer)
    else:
        asker.refuse(UNAVAILABLE, f"the broker did not make the queue ({outcome})")
