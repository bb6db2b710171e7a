"""Supernodes agree on one batch for each slot, one slot after the other: sequential Paxos.

Lamport, "Paxos Made Simple", 2001, a slot at a time: voters of slot n and author of slot n-1 are
functions of what was decided before n, so changing the voters needs nothing of its own. Round 0 of
a slot belongs to the author of the slot before, who needs no first phase. No clock but the `now`
of each call; what an event brings about is given back as effects, to be made durable in the same
transaction before anything is sent.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from nm_bus.core.ledger.batches import fill, is_far_ahead
from nm_bus.messages import (
    Accept,
    Accepted,
    Ballot,
    Batch,
    Change,
    ChangeId,
    Decided,
    Fetch,
    Log,
    Micros,
    Nack,
    Prepare,
    Promise,
    Seconds,
    Step,
    Submit,
    VoterId,
)

PIGGYBACK = 256 * 1024
"""How many bytes of pending changes travel with an answer."""

BUFFERED = 64
"""How many decisions beyond a gap are remembered."""

MOST_PENDING = 10_000
"""How many changes of others are remembered; their own supernodes keep them for sure."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What waits for what, in seconds.

    `delay` is about 1.5 round trips to a majority, `resend` above two round trips; an author is
    suspected after `suspect` of silence.
    """

    delay: Seconds = 1.5
    resend: Seconds = 4.0
    suspect: Seconds = 3.0


@dataclass(frozen=True, slots=True)
class Vote:
    """What an acceptor has on disk for a slot: its promise, and what it accepted, at a ballot."""

    promised: Ballot
    accepted: Ballot | None = None
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Tell another supernode."""

    to: VoterId
    step: Step


@dataclass(frozen=True, slots=True)
class KeepVote:
    """Make durable before anything is sent."""

    slot: int
    vote: Vote


@dataclass(frozen=True, slots=True)
class KeepBatch:
    """Make durable: the slot is decided. Votes up to it, and its changes, are needed no more."""

    slot: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class KeepChange:
    """Make durable in the outbox: an own change, accepted from now on."""

    change: Change


@dataclass(frozen=True, slots=True)
class SendLog:
    """Send another supernode what was decided from a slot on, or a snapshot when that is gone."""

    to: VoterId
    slot: int


Effect = Send | KeepVote | KeepBatch | KeepChange | SendLog


class Machine(Protocol):
    """What is decided upon: it applies batches and says who decides the next slot."""

    @property
    def voters(self) -> frozenset[VoterId]:
        """The voters of the next slot."""

    @property
    def standbys(self) -> frozenset[VoterId]:
        """Who follows without a vote."""

    def apply(self, slot: int, batch: Batch) -> None:
        """Take the decision of the next slot."""

    def is_answered(self, change: ChangeId) -> bool:
        """Whether a change was decided before, as far as that is remembered."""


@dataclass(slots=True)
class Proposal:
    """An attempt to decide a slot. `batch` is None in its first phase."""

    slot: int
    ballot: Ballot
    since: Seconds
    batch: Batch | None = None
    answers: dict[VoterId, Promise | None] = field(default_factory=dict)


@dataclass(slots=True)
class Agreement:
    """One supernode's part in it. `height` is the last decided slot, `author` whose batch it was.

    `votes` are the acceptor's records above the height and `outbox` the own undecided changes, as
    they are on disk. `random` gives numbers from 0 to 1.
    """

    me: VoterId
    machine: Machine
    pace: Pace
    random: Callable[[], float]
    height: int = 0
    author: VoterId = ""
    votes: dict[int, Vote] = field(default_factory=dict)
    outbox: dict[ChangeId, Change] = field(default_factory=dict)

    proposal: Proposal | None = None
    foreign: dict[ChangeId, Change] = field(default_factory=dict)
    left_out: dict[ChangeId, Change] = field(default_factory=dict)
    """Changes that were not proposed here because their clock is wild."""
    _moment: Micros = 0
    _highest: int = 0
    _nacks: int = 0
    _not_before: Seconds = 0.0
    _waiting_since: dict[ChangeId, Seconds] = field(default_factory=dict)
    _heard: dict[VoterId, Seconds] = field(default_factory=dict)
    _handed: dict[ChangeId, VoterId] = field(default_factory=dict)
    _submitted: Seconds = 0.0
    _stuck_at: Seconds | None = None
    _ahead: dict[int, Decided] = field(default_factory=dict)
    _fetched: tuple[int, Seconds] | None = None
    _effects: list[Effect] = field(default_factory=list)

    # --- what happens to it

    def offer(self, change: Change, now: Seconds, moment: Micros) -> list[Effect]:
        """Take an own change; it is accepted once the effects are durable."""
        if change.id not in self.outbox:
            self.outbox[change.id] = change
            self._waiting_since[change.id] = now
            self._effects.append(KeepChange(change))
            self._submit(self.author)
        return self._after(now, moment)

    def receive(self, sender: VoterId, step: Step, now: Seconds, moment: Micros) -> list[Effect]:
        """Take what another supernode said. Steps that are not the agreement's are not for here."""
        self._heard[sender] = now
        match step:
            case Prepare():
                self._prepare(sender, step, now)
            case Accept():
                self._accept(sender, step, now)
            case Promise() | Accepted():
                self._answer(sender, step, now)
            case Nack():
                self._nack(sender, step, now)
            case Decided():
                self._decided(sender, step, now)
            case Submit():
                self._take_in(step.changes, now)
            case Fetch():
                self._effects.append(SendLog(sender, step.slot))
            case Log():
                self._log(sender, step, now)
        return self._after(now, moment)

    def behind(self, sender: VoterId, height: int, now: Seconds, moment: Micros) -> list[Effect]:
        """Another supernode is at this height: fetch what is missing."""
        self._heard[sender] = now
        if height > self.height:
            self._fetch(sender, now)
        return self._after(now, moment)

    def tick(self, now: Seconds, moment: Micros) -> list[Effect]:
        """Let time pass: resend, suspect, propose."""
        self._resend(now)
        return self._after(now, moment)

    def installed(self, slot: int, author: VoterId) -> None:
        """A snapshot of a later slot was taken; the caller makes that durable."""
        for change in (*self.outbox, *self.foreign):
            if self.machine.is_answered(change):
                self._forget(change)
        self._move_to(slot, author)

    # --- as acceptor

    def _prepare(self, sender: VoterId, step: Prepare, now: Seconds) -> None:
        if self._is_decided(sender, step.slot):
            return
        vote = self.votes.get(step.slot)
        if vote is not None and step.ballot < vote.promised:
            self._tell(sender, Nack(step.slot, step.ballot, vote.promised, self._pending(sender)))
            return
        accepted, batch = (vote.accepted, vote.batch) if vote is not None else (None, None)
        self._keep(step.slot, Vote(step.ballot, accepted, batch))
        pending = self._pending(sender)
        self._tell(sender, Promise(step.slot, step.ballot, accepted, batch, pending))
        if step.slot > self.height + 1:
            self._fetch(sender, now)

    def _accept(self, sender: VoterId, step: Accept, now: Seconds) -> None:
        if self._is_decided(sender, step.slot):
            return
        vote = self.votes.get(step.slot)
        if vote is not None and step.ballot < vote.promised:
            self._tell(sender, Nack(step.slot, step.ballot, vote.promised, self._pending(sender)))
            return
        self._keep(step.slot, Vote(step.ballot, step.ballot, step.batch))
        self._tell(sender, Accepted(step.slot, step.ballot, self._pending(sender)))
        if step.slot > self.height + 1:
            self._fetch(sender, now)

    def _is_decided(self, sender: VoterId, slot: int) -> bool:
        if slot <= self.height:
            self._effects.append(SendLog(sender, slot))
        return slot <= self.height

    def _keep(self, slot: int, vote: Vote) -> None:
        self._highest = max(self._highest, vote.promised.round)
        if self.votes.get(slot) != vote:
            self.votes[slot] = vote
            self._stuck_at = None
            self._effects.append(KeepVote(slot, vote))

    # --- as proposer

    def _propose(self, now: Seconds, moment: Micros) -> None:
        """Begin an attempt: at once in round 0 with the right to it, else by asking first."""
        slot = self.height + 1
        if self.author == self.me and slot not in self.votes:
            self.proposal = Proposal(slot, Ballot(0, self.me), now)
            self._vote_for(self._own_batch(moment), now)
            return
        before = self.votes.get(slot, Vote(Ballot(0, "")))
        ballot = Ballot(max(self._highest, before.promised.round) + 1, self.me)
        self.proposal = Proposal(slot, ballot, now)
        self._keep(slot, Vote(ballot, before.accepted, before.batch))
        self._ask(Prepare(slot, ballot))
        own = Promise(slot, ballot, before.accepted, before.batch)
        self._count(self.me, own, now, moment)

    def _answer(self, sender: VoterId, step: Promise | Accepted, now: Seconds) -> None:
        self._take_in(step.pending, now)
        proposal = self.proposal
        if proposal is None or (step.slot, step.ballot) != (proposal.slot, proposal.ballot):
            return
        if isinstance(step, Promise) is (proposal.batch is None):
            self._count(sender, step if isinstance(step, Promise) else None, now, self._moment)

    def _count(
        self, sender: VoterId, promise: Promise | None, now: Seconds, moment: Micros
    ) -> None:
        """Count an answer once per voter; a majority ends the phase."""
        proposal = self.proposal
        if proposal is None or sender not in self.machine.voters:
            return
        proposal.answers[sender] = promise
        if 2 * len(proposal.answers) <= len(self.machine.voters):
            return
        if proposal.batch is not None:
            self._decide(proposal.slot, proposal.ballot, proposal.batch, now)
            return
        promises = [p for p in proposal.answers.values() if p is not None and p.accepted]
        highest = max(promises, key=lambda p: p.accepted or proposal.ballot, default=None)
        bound = highest.batch if highest is not None else None
        self._vote_for(bound or self._own_batch(moment), now)

    def _vote_for(self, batch: Batch, now: Seconds) -> None:
        """Begin the second phase with the own vote, unless a higher ballot was promised since."""
        proposal = self.proposal
        if proposal is None:
            return
        vote = self.votes.get(proposal.slot)
        if vote is not None and vote.promised > proposal.ballot:
            self._give_up(now)
            return
        self._keep(proposal.slot, Vote(proposal.ballot, proposal.ballot, batch))
        proposal.batch, proposal.since, proposal.answers = batch, now, {}
        self._ask(Accept(proposal.slot, proposal.ballot, batch))
        self._count(self.me, None, now, self._moment)

    def _nack(self, sender: VoterId, step: Nack, now: Seconds) -> None:
        self._take_in(step.pending, now)
        self._highest = max(self._highest, step.promised.round)
        proposal = self.proposal
        if proposal is not None and (step.slot, step.ballot) == (proposal.slot, proposal.ballot):
            self._give_up(now)

    def _give_up(self, now: Seconds) -> None:
        self.proposal = None
        self._not_before = now + self.pace.delay * (1 + self.random() * 2 ** min(self._nacks, 6))
        self._nacks += 1

    def _own_batch(self, moment: Micros) -> Batch:
        known = {**self.foreign, **self.outbox}
        self.left_out = {i: c for i, c in known.items() if is_far_ahead(c, moment)}
        good = [c for i, c in known.items() if i not in self.left_out]
        return Batch(self.me, moment, fill(good))

    # --- what is decided

    def _decide(self, slot: int, ballot: Ballot, batch: Batch, now: Seconds) -> None:
        """Take a decision of this supernode's own making, and tell everybody."""
        voted = set(self.proposal.answers) if self.proposal is not None else set()
        everyone = self.machine.voters | self.machine.standbys
        for other in sorted(everyone - {self.me}):
            self._tell(other, Decided(slot, ballot, None if other in voted else batch))
        self._apply(slot, batch, now)

    def _decided(self, sender: VoterId, step: Decided, now: Seconds) -> None:
        if step.slot > self.height + 1:
            if len(self._ahead) < BUFFERED:
                self._ahead[step.slot] = step
            self._fetch(sender, now)
            return
        if step.slot <= self.height:
            return
        vote = self.votes.get(step.slot)
        mine = vote.batch if vote is not None and vote.accepted == step.ballot else None
        batch = step.batch or mine
        if batch is None:
            self._fetch(sender, now)
            return
        self._apply(step.slot, batch, now)
        following = self._ahead.pop(self.height + 1, None)
        if following is not None:
            self._decided(sender, following, now)

    def _log(self, sender: VoterId, step: Log, now: Seconds) -> None:
        for slot, batch in enumerate(step.batches, start=step.slot):
            if slot == self.height + 1:
                self._apply(slot, batch, now)
        if step.height > self.height:
            self._fetch(sender, now)

    def _apply(self, slot: int, batch: Batch, now: Seconds) -> None:
        self._effects.append(KeepBatch(slot, batch))
        for change in batch.changes:
            self._forget(change.id)
        self.machine.apply(slot, batch)
        self._move_to(slot, batch.author)
        self._heard.setdefault(batch.author, now)

    def _move_to(self, slot: int, author: VoterId) -> None:
        """The next slot begins; whoever decided the last one is handed what waits here."""
        is_new, self.author, self.height = author != self.author, author, slot
        self.votes = {n: vote for n, vote in self.votes.items() if n > slot}
        self._ahead = {n: step for n, step in self._ahead.items() if n > slot}
        self._highest = max((v.promised.round for v in self.votes.values()), default=0)
        self.proposal, self._stuck_at = None, None
        self._nacks, self._not_before = 0, 0.0
        if is_new:
            self._submit(author)

    def _forget(self, change: ChangeId) -> None:
        for known in (self.outbox, self.foreign, self.left_out, self._waiting_since, self._handed):
            known.pop(change, None)

    # --- what time brings

    def _after(self, now: Seconds, moment: Micros) -> list[Effect]:
        """After every event: propose if that is due; give what is to be done."""
        self._moment = moment
        self.left_out = {i: c for i, c in self.left_out.items() if is_far_ahead(c, moment)}
        while self.proposal is None and self._is_due(now):
            self._propose(now, moment)
        effects, self._effects = self._effects, []
        return effects

    def _is_due(self, now: Seconds) -> bool:
        """Whether this supernode should propose now."""
        if self.me not in self.machine.voters or now < self._not_before:
            return False
        slot = self.height + 1
        if slot in self.votes:
            return self._is_stuck(now)
        if len(self.outbox) + len(self.foreign) <= len(self.left_out):
            return False
        return self.author == self.me or self._author_is_silent(now) or self._is_overdue(now)

    def _is_stuck(self, now: Seconds) -> bool:
        """Whether what somebody began for this slot, this supernode too, has not come to an end."""
        if self._stuck_at is None:
            self._stuck_at = now + self.pace.delay * (2 + self.random())
        return now >= self._stuck_at

    def _author_is_silent(self, now: Seconds) -> bool:
        if not self.author or self.author not in self.machine.voters:
            return True
        heard = self._heard.setdefault(self.author, now)
        return now - heard > self.pace.suspect

    def _is_overdue(self, now: Seconds) -> bool:
        for change in self.outbox:  # those from before a restart have no time yet
            self._waiting_since.setdefault(change, now)
        return now - next(iter(self._waiting_since.values()), now) > 3 * self.pace.delay

    def _resend(self, now: Seconds) -> None:
        """Say again what was not answered."""
        proposal = self.proposal
        if proposal is not None and now - proposal.since >= self.pace.resend:
            proposal.since = now
            if proposal.batch is None:
                self._ask(Prepare(proposal.slot, proposal.ballot))
            else:
                self._ask(Accept(proposal.slot, proposal.ballot, proposal.batch))
        if self.outbox and now - self._submitted >= self.pace.resend:
            self._submitted = now
            self._handed.clear()
            self._submit(self._whom_to_ask(now))

    def _whom_to_ask(self, now: Seconds) -> VoterId:
        """The author, or any voter when that is silent: a standby cannot propose by itself."""
        voters = sorted(self.machine.voters - {self.me})
        if not voters or not self._author_is_silent(now):
            return self.author
        return voters[int(self.random() * len(voters)) % len(voters)]

    def _submit(self, to: VoterId) -> None:
        if to not in ("", self.me) and (changes := self._pending(to)):
            self._tell(to, Submit(changes))

    def _fetch(self, sender: VoterId, now: Seconds) -> None:
        """Ask for what is missing; not again before it may have come."""
        asked, since = self._fetched or (-1, 0.0)
        if asked != self.height or now - since >= self.pace.resend:
            self._fetched = (self.height, now)
            self._tell(sender, Fetch(self.height + 1))

    # --- small things

    def _take_in(self, changes: Iterable[Change], now: Seconds) -> None:
        for change in changes:
            known = change.id in self.outbox or self.machine.is_answered(change.id)
            if not known and len(self.foreign) < MOST_PENDING:
                self.foreign[change.id] = change
                self._waiting_since.setdefault(change.id, now)

    def _pending(self, to: VoterId) -> tuple[Change, ...]:
        """The own changes that were not handed to this supernode yet, as many as fit."""
        new = [c for i, c in self.outbox.items() if self._handed.get(i) != to]
        changes = fill(new, size=PIGGYBACK) if new else ()
        self._handed.update((change.id, to) for change in changes)
        return changes

    def _ask(self, step: Prepare | Accept) -> None:
        """Ask the voters that have not answered yet."""
        answered = self.proposal.answers if self.proposal is not None else {}
        for voter in sorted(self.machine.voters - {self.me} - answered.keys()):
            self._tell(voter, step)

    def _tell(self, to: VoterId, step: Step) -> None:
        self._effects.append(Send(to, step))
