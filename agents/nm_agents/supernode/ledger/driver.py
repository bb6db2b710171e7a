"""The ledger of one supernode at work: the agreement over its file and the links.

One event, one transaction: what it brought about is on disk before anything of it is sent or told.
The decisions are the core's; here is only what performs them.
"""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nm_agents.supernode.ledger.arrival import Arrival, Arrived
from nm_agents.supernode.ledger.earlier import EarlierUpdates, lost_with
from nm_agents.supernode.ledger.kept import KeptPast
from nm_agents.supernode.ledger.listeners import Done, News
from nm_agents.supernode.ledger.machine import LedgerMachine
from nm_agents.supernode.ledger.own import OwnChanges, Sign
from nm_agents.supernode.ledger.peers import LedgerPeers
from nm_agents.supernode.ledger.post import Post
from nm_agents.supernode.ledger.snapshots import Supplies, Whole
from nm_agents.supernode.ledger.standing import standing_of
from nm_agents.supernode.ledger.transaction import Moved, is_durable, keep, keep_snapshot, moved
from nm_bus.codec import Reason, Rejected
from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.applying import Applied
from nm_bus.core.ledger.batches import FAR_AHEAD
from nm_bus.core.ledger.effects import Effect, Send, SendLog
from nm_bus.core.ledger.hybrid import HybridClock
from nm_bus.core.ledger.kinds import unknown_rules
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.voters import node_of, voter_id
from nm_bus.messages import (
    Accept,
    Beat,
    Change,
    ChangeId,
    Earlier,
    Fetch,
    FetchEarlier,
    Ledger,
    Micros,
    NodeId,
    Offer,
    Prepare,
    Proposed,
    Recall,
    Recalled,
    Seconds,
    Snap,
    Standing,
    Step,
    VoterId,
    Want,
)
from nm_bus.settings import Timing
from nm_bus.storage.ledger import NEWCOMER, LedgerIdentity, SqliteLedger
from nm_bus.storage.position import Position
from nm_bus.transport.base import Transport

_LOG = logging.getLogger(__name__)

PATIENCE = 4
"""For how many beats a new life waits for voters that do not say what they accepted."""


@dataclass(slots=True)
class LedgerDriver(KeptPast):
    """One life of a supernode's ledger, by `start_life`. Every method may raise StorageError."""

    store: SqliteLedger
    transport: Transport
    timing: Timing
    agreement: Agreement
    machine: LedgerMachine
    peers: LedgerPeers
    post: Post
    clock: HybridClock
    sign: Sign
    reason: str = ""
    """Why it has stopped, if it has: it votes no more, but can still be read."""
    _own: OwnChanges = field(init=False)
    _born: Seconds = field(init=False)
    _asked: Seconds = -math.inf
    _supplies: Supplies = field(init=False)
    _arrival: Arrival = field(init=False)
    earlier: EarlierUpdates = field(init=False)
    _news: News = field(default_factory=News)
    _installed: list[Callable[[], None]] = field(default_factory=list)
    _ticking: list[Callable[[Seconds], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._supplies = Supplies(self.store, self.post, self._whole)
        self.earlier = EarlierUpdates(self.store, self.post)
        self._arrival = Arrival.beside(self.store.path, self._tell, self.agreement.random)
        self._arrival.passed(self.height)
        self._own = OwnChanges(
            self.identity, self.agreement, self.machine, self.clock, self.sign, self._news.asked
        )
        self._born = self._now()

    # --- what others may see of it

    @property
    def identity(self) -> LedgerIdentity:
        """Whose ledger it is."""
        return self.store.identity

    @property
    def node(self) -> NodeId:
        """The supernode."""
        return self.identity.node

    @property
    def voter_id(self) -> VoterId:
        """Who it is to the others."""
        return self.identity.voter

    @property
    def state(self) -> State:
        """What the ledger holds, as far as it was applied here. Not to be changed."""
        return self.machine.state

    @property
    def height(self) -> int:
        """The last slot that was decided, as far as it is known here."""
        return self.agreement.height

    @property
    def is_awake(self) -> bool:
        """Whether it votes: the others have confirmed that its file is the one that voted."""
        return not (self.machine.listens or self.reason)

    def standing(self) -> Standing:
        """How it stands."""
        return standing_of(
            self.identity,
            self.state,
            self.agreement,
            self.peers.heights,
            stopped=self.reason,
            trouble=self.trouble,
            listens=self.machine.listens,
        )

    @property
    def trouble(self) -> str:
        """Why it cannot take the snapshot that it needs, if so."""
        return self._arrival.trouble

    def is_waiting(self, change: ChangeId) -> bool:
        """Whether a change was taken here and is not decided yet."""
        return change in self.agreement.outbox

    def on_applied(self, listener: Callable[[list[Applied]], None]) -> None:
        """Call `listener` with what was applied, in order, once it is on disk."""
        self._news.listeners.append(listener)

    def on_installed(self, listener: Callable[[], None]) -> None:
        """Call `listener` when a snapshot has taken the place of the state."""
        self._installed.append(listener)

    def on_tick(self, listener: Callable[[Seconds], None]) -> None:
        """Call `listener` with the time at every beat."""
        self._ticking.append(listener)

    # --- changes of this supernode and of those who ask it

    def propose(self, change: Change, done: Done) -> str:
        """Stamp a change and take it into the outbox, on disk when this returns.

        Gives `accepted`; or `agreed` or `refused` when it was answered before, and `done` has been
        told; or `full`: nothing was taken, try another supernode. `done` is told once the change
        is applied here, and of one id only the last one that asked, in this life of the program.
        """
        (said,) = self.propose_all([(change, done)])
        return said

    def propose_all(self, asked: Iterable[tuple[Change, Done]]) -> list[str]:
        """Propose changes that came together, each as by `propose`, in one transaction."""
        stamped: dict[ChangeId, Change] = {}
        own, now = self._own, self._micros()
        said = [own.taken(one, done, stamped, now, bool(self.reason)) for one, done in asked]
        if stamped:
            self._perform(self.agreement.offer_all(stamped.values(), self._now(), now))
        return said

    def own_change(
        self, kind: str, key: str, value: dict[str, Any] | None = None, expected: int | None = None
    ) -> Change:
        """A new change in this supernode's own name, signed."""
        return self._own.change(self.state.revision, kind, key, value, expected)

    # --- what happens

    def start(self) -> None:
        """Begin to speak and to listen."""
        _LOG.info("ledger of %s: revision %d, listening", self.voter_id, self.state.revision)
        self._stop_if(unknown_rules(self.state, self.machine.book))
        self._confirm()
        self._beat()
        self._tick()

    def take(self, peer: NodeId, message: Ledger) -> Rejected | None:
        """Take what a peer's link brought."""
        if message.origin != peer:
            return Rejected(Reason.NOT_SENDER, f"{peer} speaks for {message.origin}")
        self._consider(message)
        for _, early in self.peers.guard.due():
            self._consider(early)
        return None

    def _consider(self, message: Ledger) -> None:
        """Take what a message says of its sender, and what it says, where that counts."""
        sender = voter_id(message.origin, message.incarnation)
        if self.reason:
            return
        heard = self.peers.hear(sender, message, self.identity, self.state, self._micros())
        if heard.is_new_life:
            self.post.tell(message.origin, self._own_beat())
        if heard.answer is not None:
            self.post.tell(message.origin, heard.answer)
        self._stop_if(heard.stop)
        if heard.counts:
            self._step(sender, message, message.step)

    def _step(self, sender: VoterId, message: Ledger, step: Step) -> None:
        now, moment = self._now(), self._micros()
        if self.peers.guard.is_early(sender, step, message):
            self._perform(self.agreement.behind(sender, message.mark.height, now, moment))
            return
        match step:
            case Beat():
                self._stop_if(self.peers.compare(sender, message, step))
                self.earlier.heard(message.origin, step, now)
                if not self.reason:
                    self._perform(self.agreement.behind(sender, step.height, now, moment))
            case Offer() if step.slot > self.height:
                self._arrival.offered(sender, step, self.state, now)
            case Want():
                self._supplies.give(message.origin, step, now)
            case Snap():
                if arrived := self._arrival.take(sender, step, now):
                    self._install(arrived)
            case FetchEarlier() | Earlier():
                self.earlier.take(message.origin, step, self.state, now)
            case Recall():
                self._tell_votes(sender)
            case Recalled():
                self._recalled(sender, step)
            case Prepare() | Accept() if self.machine.listens:
                pass
            case _:
                self._perform(self.agreement.receive(sender, step, now, moment))

    # --- a new life

    def _ask_back(self) -> None:
        """In a new life: ask those that have not confirmed it what they accepted."""
        self._confirm()
        voters = sorted(self.peers.guard.boots.asks(self.state.voters))
        is_due = self._now() - self._asked >= self.timing.agreement_resend
        if self.machine.listens and voters and is_due:
            self._asked = self._now()
            for voter in voters:
                self.post.tell(node_of(voter), Recall())

    def _tell_votes(self, sender: VoterId) -> None:
        if (said := self.peers.guard.memory_of(sender)) is not None:
            self._tell(sender, said)

    def _recalled(self, sender: VoterId, step: Recalled) -> None:
        if step.echo.nonce != self.identity.nonce:
            return  # it was said to an earlier life, or to another incarnation
        self._stop_if(self.peers.guard.doubt(sender, step))
        if not self.reason:
            self._perform(self.agreement.adopt(step.votes, self._now(), self._micros()))
            self.peers.guard.boots.recalled(sender, step.echo)
            self._confirm()

    def _confirm(self) -> None:
        voters, is_new = self.state.voters, self.state.epoch == NEWCOMER
        waits = self._now() - self._born < PATIENCE * self.timing.beat
        is_known = self.peers.guard.boots.may_vote(voters, waits=waits)
        if self.machine.listens and not is_new and is_known:
            self.machine.listens = False
            votes = self.voter_id in voters
            does = "it votes" if votes else "it follows, and has no vote"
            _LOG.info("ledger of %s: confirmed by the other supernodes: %s", self.voter_id, does)

    def _stop_if(self, reason: str) -> None:
        """Vote and speak no more, if there is a reason: this file is not the one that the others
        know, or this program cannot go on with it. A last beat lets all of them see what it has."""
        if reason and not self.reason:
            self.post.tell_all(self._own_beat())
            self.reason = reason
            _LOG.error("the ledger has stopped: %s", self.reason)

    def _tick(self) -> None:
        if self.reason:
            return
        self._perform(self.agreement.tick(self._now(), self._micros()))
        self._arrival.tick(self._now())
        self.transport.later(self.timing.agreement_delay / 4, self._tick)

    def _beat(self) -> None:
        if self.reason:
            return
        now = self._now()
        self.post.tell_all(self._own_beat())
        self._ask_back()
        self._supplies.forget_old(now)
        self.earlier.tick(now)
        for listener in self._ticking:
            listener(now)
        self.transport.later(self.timing.beat, self._beat)

    def _own_beat(self) -> Beat:
        rules, kept = max(self.machine.book), self.earlier.told()
        return self.peers.checkpoints.beat(self.height, self.peers.echoes(), rules, kept)

    # --- what is done

    def _perform(self, effects: list[Effect]) -> None:
        """Write down what an event brought about, then say it, then tell of it."""
        applied, answers, marks = self.machine.applied, self.machine.answers, self.machine.marks
        self.machine.begin()
        if applied or any(map(is_durable, effects)):
            now = self._micros()
            for each in applied:
                self.clock.seen(each.change.timestamp, now, FAR_AHEAD)
            changed, position = self.peers.changed(), self._position()
            keep(self.store, Moved(effects, applied, answers, marks, position, changed), self.state)
            self.post.mark = marks[-1] if marks else self.post.mark
            self._arrival.passed(self.height)
        outvoted = self.peers.reached(marks, self.state.voters) if marks else ""
        for effect in effects:
            match effect:
                case Send(step=Fetch()) if self._arrival.is_under_way(self._now()):
                    pass  # the log that is asked for is gone, and what took its place is coming
                case Send():
                    self._tell(effect.to, effect.step)
                case SendLog():
                    self._supplies.send(node_of(effect.to), effect.slot, self._now())
        if applied:
            self.peers.checkpoints.applied(applied)
            self._news.tell(applied)
        self._stop_if(outvoted)
        if marks:
            self._stop_if(unknown_rules(self.state, self.machine.book))

    def _position(self) -> Position:
        return moved(self.store.position, self.agreement, self.state, self.clock.last)

    def _whole(self) -> Whole:
        state = self.state
        author, past = self.agreement.author, self.peers.guard.heads.past()
        return Whole(author, state.snapshot(), self.identity.file, state.size, past)

    def _install(self, arrived: Arrived) -> None:
        """Put a snapshot in the state's place, in one transaction; unless it is of another history,
        or of rules that this program does not know."""
        slot, whole = arrived.slot, arrived.whole
        if not self.peers.guard.heads.leads_here(arrived.supplier, whole.marks, self.height):
            self.peers.note_forks()
            self._stop_if(self.peers.guard.outvoted(self.state.voters))
            return
        if unknown := unknown_rules(arrived.state, self.machine.book):
            self._stop_if(unknown)
            return
        self.machine.state = state = arrived.state
        found = map(state.answer, self.agreement.outbox)
        decided = [answer for answer in found if answer is not None]
        self.agreement.installed(slot, whole.author)
        self._keep_installed(slot, whole, decided)
        _LOG.info("ledger: took a snapshot of %s, revision %d", arrived.supplier, state.revision)
        self._confirm()
        for answer in decided:
            self._news.answer(answer.id, answer)
        for listener in self._installed:
            listener()

    def _keep_installed(self, slot: int, whole: Whole, decided: list[Proposed]) -> None:
        position = msgspec.structs.replace(self._position(), kept_from=lost_with(self.state))
        keep_snapshot(self.store, whole, slot, position, (answer.id for answer in decided))
        self.post.identity, self.post.mark = self.identity, self.store.marks(slot, 1)[-1]
        self.peers.guard.heads.begin(whole.marks or [self.post.mark])
        self.peers.checkpoints.load()

    def _tell(self, to: VoterId, step: Step) -> None:
        self.post.tell(node_of(to), step)

    def _now(self) -> Seconds:
        return self.transport.now()

    def _micros(self) -> Micros:
        return round(self.transport.now() * 1_000_000)
