"""The composition of a supernode's ledger: its file, if there is one, and one life of it."""

import logging
import random as chance
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from nm_agents.supernode.ledger.checking import Judge
from nm_agents.supernode.ledger.checkpoints import Checkpoints, Witness
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_agents.supernode.ledger.feed import UpdateFeed
from nm_agents.supernode.ledger.machine import LedgerMachine
from nm_agents.supernode.ledger.own import Sign
from nm_agents.supernode.ledger.peers import LedgerPeers
from nm_agents.supernode.ledger.post import Post
from nm_agents.supernode.ledger.requests import LedgerRequests
from nm_agents.supernode.ledger.sessions import Sessions
from nm_agents.supernode.ledger.upgrade import Upgrade
from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.answers import Answers
from nm_bus.core.ledger.batches import FAR_AHEAD, is_far_ahead
from nm_bus.core.ledger.boots import Boots
from nm_bus.core.ledger.effects import Pace
from nm_bus.core.ledger.guard import Guard
from nm_bus.core.ledger.heads import PAST, Heads
from nm_bus.core.ledger.hybrid import HybridClock
from nm_bus.core.ledger.kinds import RULEBOOK, Rulebook
from nm_bus.core.ledger.rules.members import LEFT
from nm_bus.core.ledger.state import State
from nm_bus.errors import ConfigError
from nm_bus.identity.signing import Signer
from nm_bus.messages import Change, ChangeId, Micros, NodeId, Proposed, Seconds
from nm_bus.settings import SupernodeSettings, Timing, timing
from nm_bus.storage.ledger import SqliteLedger, open_ledger
from nm_bus.transport.base import Transport

# --- Members that introduce themselves and that the ledger does not know yet are made to join.

MOST = 1_000
"""How many joins may be under way."""

MOST_LEFT_OUT = 20_000
"""How many more may wait until some of these are done; who comes then joins at its next hello."""

AGAIN: Seconds = 60.0
"""A join that was refused is asked for again after this."""


@dataclass(slots=True)
class Joins:
    """The joins that one supernode proposes on its members' behalf."""

    driver: LedgerDriver
    _under_way: set[NodeId] = field(default_factory=set)
    _refused: dict[NodeId, Seconds] = field(default_factory=dict)
    _gathered: list[tuple[NodeId, Change]] = field(default_factory=list)
    """Those that came in this turn, and are not proposed yet."""
    _left_out: dict[NodeId, None] = field(default_factory=dict)
    """Those that came when too many were under way, in their order: a member that has its inbox
    says no hello again before its next connection."""

    def joined(self, node: NodeId) -> None:
        """A member for which the broker vouches has said hello: it joins, again too after it left,
        but not when an administrator removed it."""
        if len(self._left_out) < MOST_LEFT_OUT:
            self._left_out[node] = None
        self._go_on()

    def _go_on(self) -> None:
        while self._left_out and len(self._under_way) < MOST:
            node = next(iter(self._left_out))
            del self._left_out[node]
            self._join(node)

    def _join(self, node: NodeId) -> None:
        now = self.driver.transport.now()
        if node in self._under_way or not self._may_join(node):
            return
        if now < self._refused.get(node, now):
            return
        self._under_way.add(node)
        self._gathered.append((node, self.driver.own_change("join", f"member/{node}", {})))
        if len(self._gathered) == 1:
            self.driver.transport.later(0.0, self._offer)

    def _offer(self) -> None:
        """Propose the joins that came since the last turn, in one transaction: each is a flush."""
        gathered, self._gathered = self._gathered, []
        asked = [(change, partial(self._done, node)) for node, change in gathered]
        for (node, _), said in zip(gathered, self.driver.propose_all(asked), strict=True):
            if said == "full":
                self._under_way.discard(node)

    def _may_join(self, node: NodeId) -> bool:
        entry = self.driver.state.get(f"member/{node}")
        return entry is None or (entry.value["state"] == LEFT and not entry.value.get("removed"))

    def _done(self, node: NodeId, answer: Proposed) -> None:
        now = self.driver.transport.now()
        self._under_way.discard(node)
        if answer.state == "refused":
            self._refused = {node: until for node, until in self._refused.items() if until > now}
            self._refused[node] = now + AGAIN
        self._go_on()


_LOG = logging.getLogger(__name__)

FILE = "ledger.db"
"""The ledger's name in a supernode's folder; `nm-bus init` makes it, and nothing else does."""


@contextmanager
def ledger_of(settings: SupernodeSettings, transport: Transport) -> Iterator[LedgerDriver | None]:
    """The ledger in a supernode's folder, ready to be started; None when there is no file.

    Raises StorageError for a file that cannot be used, ConfigError for one of somebody else.
    """
    path = settings.folder / FILE
    if not path.exists():
        _LOG.warning("there is no ledger in %s; make one: nm-bus init", settings.folder)
        yield None
        return
    with closing(open_ledger(path)) as store:
        check_owner(store, settings)
        signer = Signer.load(settings.tls)
        yield start_life(
            store,
            transport,
            timing(settings),
            (peer.node for peer in settings.peers),
            nonce=uuid.uuid4().hex,
            random=chance.random,
            sign=signer.sign,
            witness=lambda text: (signer.fingerprint, signer.sign_bytes(text)),
        )


def check_owner(store: SqliteLedger, settings: SupernodeSettings) -> None:
    """Raise ConfigError when a ledger is not of the supernode that these settings name."""
    owner, own = store.identity, (settings.project, settings.node)
    if (owner.project, owner.node) != own:
        what = f"is the ledger of {owner.node} in {owner.project}, not of {own[1]} in {own[0]}"
        raise ConfigError(store.path, what, "give each supernode a folder of its own")


def serve(
    driver: LedgerDriver, transport: Transport, authority: Path, sessions: Sessions, judge: Judge
) -> LedgerRequests:
    """Publish the updates of a ledger, answer what is asked of it, and end silent sessions.

    `authority` is the file of the certificates that changes are signed under, read at each change;
    `judge` makes the checks that take long.
    """
    UpdateFeed(driver, transport).start()
    requests = LedgerRequests(
        driver,
        transport,
        authority.read_text,
        judge,
        joined=Joins(driver).joined,
        looked=sessions.asked,
    )
    requests.listen()
    sessions.start()
    Upgrade(driver).start()
    return requests


def state_of(store: SqliteLedger) -> State:
    """What a ledger's file holds, as of its last revision."""
    position = store.position
    return State(
        store.identity.project,
        epoch=store.identity.epoch,
        revision=position.revision,
        head=position.head,
        time=position.time,
        entries=store.entries(),
        answers=Answers(store.answers.all(), position.floor),
        feeds=store.past.feeds(),
    )


def start_life(
    store: SqliteLedger,
    transport: Transport,
    timing: Timing,
    peers: Iterable[NodeId],
    *,
    nonce: str,
    random: Callable[[], float],
    sign: Sign = lambda change: change,
    witness: Witness = lambda _text: ("", ""),
    book: Rulebook = RULEBOOK,
) -> LedgerDriver:
    """Take up a ledger from its file and begin another life of it; `start` makes it speak."""
    store.started(nonce)
    identity, position, state = store.identity, store.position, state_of(store)
    boots = Boots(identity.voter, identity.boot, nonce, store.peers())
    clock = HybridClock(position.clock)
    machine = LedgerMachine(identity.voter, state, book=book)
    agreement = Agreement(
        identity.voter,
        machine,
        Pace(timing.agreement_delay, timing.agreement_resend, timing.author_limit),
        random,
        position.height,
        position.author,
        store.votes(),
        _restamped(store.outbox(), clock, round(transport.now() * 1_000_000)),
    )
    checkpoints, heads = Checkpoints(store, witness), Heads(store.mark_at)
    checkpoints.load()
    heads.begin(store.marks(position.height - PAST, PAST + 1))
    return LedgerDriver(
        store,
        transport,
        timing,
        agreement,
        machine,
        LedgerPeers(Guard(agreement, boots, heads), checkpoints),
        Post(transport, identity, frozenset(peers), store.marks(position.height, 1)[-1]),
        clock,
        sign,
    )


def _restamped(
    outbox: dict[ChangeId, Change], clock: HybridClock, now: Micros
) -> dict[ChangeId, Change]:
    """What was accepted while the wall clock was far ahead would wait until it is really then."""
    return {
        id: replace(each, timestamp=clock.tick(now, FAR_AHEAD)) if is_far_ahead(each, now) else each
        for id, each in outbox.items()
    }
