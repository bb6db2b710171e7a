"""Introductions: a principal says hello, and is given its inbox."""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial

from nm_agents.supernode.asker import Asker
from nm_agents.supernode.ledger.part import LedgerPart
from nm_agents.supernode.part import Part, Requested
from nm_broker.project import sizes_for
from nm_bus.codes import BAD_REQUEST, UNAVAILABLE
from nm_bus.core.ledger.keys import why_no_feed
from nm_bus.identity.role import MEMBER
from nm_bus.messages import Hello, Message, NodeId
from nm_bus.settings import SupernodeSettings
from nm_bus.topology import inbox_queue, inbox_topology
from nm_bus.transport.base import Outcome, Transport

MOST_KNOWN = 20_000
"""Of so many inboxes is remembered what they are bound to: those that were made last."""


@dataclass(slots=True)
class KnownInboxes:
    """Which feeds the inboxes are bound to that were made in this life."""

    _feeds: OrderedDict[NodeId, tuple[str, ...]] = field(default_factory=OrderedDict)

    def is_bound(self, user: NodeId, feeds: tuple[str, ...]) -> bool:
        """Whether an inbox, if it is there, is bound to these feeds and no others."""
        return self._feeds.get(user) == feeds

    def made(self, user: NodeId, feeds: tuple[str, ...]) -> None:
        """An inbox was made with these alone."""
        self._feeds[user] = feeds
        self._feeds.move_to_end(user)
        while len(self._feeds) > MOST_KNOWN:
            self._feeds.popitem(last=False)

    def forget(self, user: NodeId) -> None:
        """It is not known any more."""
        self._feeds.pop(user, None)


@dataclass(slots=True)
class HelloPart(Part):
    """Makes inboxes. What the asker is, the broker has checked; its own word does not count."""

    settings: SupernodeSettings
    transport: Transport
    ledger: LedgerPart
    _known: KnownInboxes = field(default_factory=KnownInboxes)

    def requests(self) -> dict[type[Message], Requested]:
        """Hello."""
        return {Hello: self._hello}

    def _hello(self, hello: Hello, asker: Asker) -> None:
        if flaw := why_no_feeds(hello.feeds):
            asker.refuse(BAD_REQUEST, flaw)
            return
        if asker.role == MEMBER:
            self.ledger.joined(asker.user)
        user, feeds = asker.user, tuple(sorted(hello.feeds))
        sizes, anew = sizes_for(self.settings.limits), not self._known.is_bound(user, feeds)
        topology = inbox_topology(user, sizes, feeds=feeds, anew=anew)
        self._known.forget(user)
        self.transport.declare(topology, partial(self._made, asker, feeds), renew=False)

    def _made(self, asker: Asker, feeds: tuple[str, ...], outcome: Outcome) -> None:
        if outcome is Outcome.CONFIRMED:
            self._known.made(asker.user, feeds)
        answer = {"queue": inbox_queue(asker.user), "supernode": self.settings.node}
        declared(asker, answer, outcome)


def why_no_feeds(feeds: tuple[str, ...]) -> str:
    """What is wrong with the feeds that somebody wants to live by; empty when nothing is. How many
    they may be is in the schema."""
    return next(filter(None, (why_no_feed(feed) for feed in feeds if feed)), "")


def declared(asker: Asker, answer: dict[str, str], outcome: Outcome) -> None:
    """Answer an asker for whom a queue was to be made."""
    if outcome is Outcome.CONFIRMED:
        asker.reply(answer)
    else:
        asker.refuse(UNAVAILABLE, f"the broker did not make the queue ({outcome})")
