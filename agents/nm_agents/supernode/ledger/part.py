"""The ledger among the parts of a supernode: its messages, its requests, its conditions."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import msgspec

from nm_agents.host.inbound import Routes
from nm_agents.supernode.asker import Asker
from nm_agents.supernode.ledger.checkpoints import Fork
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_agents.supernode.ledger.requests import Given, LedgerRequests
from nm_agents.supernode.ledger.sessions import Sessions
from nm_agents.supernode.part import Part, Requested
from nm_bus.codec import LONG, Rejected
from nm_bus.codes import NO_LEDGER, OK
from nm_bus.core.alerts.conditions import (
    Condition,
    ledger_behind,
    ledger_clock,
    ledger_forked,
    ledger_not_admitted,
    ledger_peer_ignored,
    ledger_stopped,
)
from nm_bus.core.ledger.batches import FAR_AHEAD
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.voters import node_of
from nm_bus.messages import (
    Answer,
    Event,
    Ledger,
    Message,
    NodeId,
    Propose,
    Read,
    Seconds,
    Supernode,
    Sync,
)
from nm_bus.settings import SupernodeSettings
from nm_bus.storage.ledger import NEWCOMER
from nm_bus.transport.base import Delivery

# --- What is wrong with a supernode's ledger, as conditions that raise alerts.


def troubles(ledger: LedgerDriver | None) -> Iterator[Condition]:
    """A ledger that has stopped or cannot catch up, one whose supernode nobody has admitted, clocks
    that are wrong, a peer whose words do not count, and two heads for one revision. Without a
    ledger: none."""
    if ledger is None:
        return
    node, state = ledger.node, ledger.state
    yield ledger_stopped(node, ledger.reason)
    yield ledger_behind(node, ledger.trouble)
    admitted = ledger.voter_id in state.voters | state.standbys
    yield ledger_not_admitted(node, ledger.identity.incarnation, admitted=admitted)
    left_out = [change.supernode for change in ledger.agreement.waiting.left_out.values()]
    yield ledger_clock(node, left_out, FAR_AHEAD // 1_000_000)
    for peer, why in ledger.peers.ignored.peers.items():
        yield ledger_peer_ignored(node, peer, why)
    for fork in ledger.peers.checkpoints.forks.values():
        heads = (fork.head, fork.other)
        yield ledger_forked(fork.node, fork.peer, fork.revision, heads, _evidence(fork))


def _evidence(fork: Fork) -> dict[str, str]:
    if not fork.signature:
        return {}
    return {"head": fork.other, "signer": fork.signer, "signature": fork.signature}


@dataclass(frozen=True, slots=True)
class Serving:
    """A ledger that is served: it itself, what is asked of it, the sessions in it."""

    driver: LedgerDriver
    requests: LedgerRequests
    sessions: Sessions


@dataclass(slots=True)
class LedgerPart(Part):
    """`serving` is None where no ledger was made yet: then its requests are refused."""

    settings: SupernodeSettings
    serving: Serving | None

    def from_peers(self) -> Routes:
        """The steps of the agreement."""
        return {Ledger: self._step}

    def requests(self) -> dict[type[Message], Requested]:
        """Propose, Sync, Read."""
        return dict.fromkeys((Propose, Sync, Read), self._take)

    def start(self) -> None:
        """Speak and listen."""
        if self.serving is not None:
            self.serving.driver.start()

    def conditions(self, now: Seconds) -> Iterator[Condition]:
        """What is wrong with the ledger."""
        if self.serving is not None:
            yield from troubles(self.serving.driver)

    def describe(self, state: Supernode, now: Seconds) -> Supernode:
        """How the ledger stands, and whose sessions live."""
        if self.serving is None:
            return state
        sessions, standing = self.serving.sessions.vigil.tell(), self.serving.driver.standing()
        return msgspec.structs.replace(state, sessions=sessions, ledger=standing)

    def described(self, state: Supernode) -> None:
        """Another supernode says whose sessions live."""
        if self.serving is not None:
            self.serving.sessions.told(state.sessions)

    def joined(self, member: NodeId) -> None:
        """A member has introduced itself."""
        if self.serving is not None:
            self.serving.requests.joined(member)

    @property
    def state(self) -> State | None:
        """The ledger as it is here; None where there is none."""
        return self.serving.driver.state if self.serving else None

    def supernodes(self) -> frozenset[NodeId]:
        """The project's supernodes: by the ledger, where it is known, else by the settings."""
        me = self.settings.node
        if self.serving is None or self.serving.driver.state.epoch == NEWCOMER:
            return frozenset({me, *(peer.node for peer in self.settings.peers)})
        state = self.serving.driver.state
        return frozenset({me, *map(node_of, state.voters | state.standbys)})

    def _step(self, event: Event[Ledger], _delivery: Delivery, _now: Seconds) -> Rejected | None:
        return self.serving.driver.take(event.source, event.data) if self.serving else None

    def _take(self, asked: Propose | Sync | Read, asker: Asker) -> None:
        if self.serving is None:
            node = self.settings.node
            error = f"{node} has no ledger; run nm-bus init there, or ask another supernode"
            asker.refuse(NO_LEDGER, error)
        else:
            answered = partial(_answered, asker)
            self.serving.requests.take(asked, asker.user, answered)


def _answered(asker: Asker, given: Given) -> None:
    asker.give(partial(_answer, asker.request, given))


def _answer(request: str, given: Given) -> Answer:
    found = given.later() if given.later else given.data
    data: dict[str, object] = {} if found is None else msgspec.to_builtins(found)
    return Answer(request, given.code == OK, code=given.code, error=given.error[:LONG], data=data)
