"""Supernodes agree on one batch for each slot, one slot after the other: sequential Paxos.

Lamport, "Paxos Made Simple", 2001, a slot at a time: voters of slot n and author of slot n-1 are
functions of what was decided before n, so changing the voters needs nothing of its own. Round 0 of
a slot belongs to the author of the slot before, who needs no first phase. No clock but the `now`
of each call; what an event brings about is given back as effects, to be made durable in the same
transaction before anything is sent.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nm_bus.core.ledger.backoff import Backoff
from nm_bus.core.ledger.effects import (
    NO_VOTE,
    Effect,
    KeepBatch,
    KeepChange,
    KeepVote,
    Machine,
    Pace,
    Proposal,
    Send,
    SendLog,
    Vote,
)
from nm_bus.core.ledger.gap import Gap
from nm_bus.core.ledger.waiting import Waiting
from nm_bus.messages import (
    Accept,
    Accepted,
    Ballot,
    Batch,
    Cast,
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
    waiting: Waiting = field(init=False)
    _now: Seconds = 0.0
    _moment: Micros = 0
    _refused_at: int = 0
    _backoff: Backoff = field(init=False)
    _heard: dict[VoterId, Seconds] = field(default_factory=dict)
    _submitted: Seconds = 0.0
    _gap: Gap = field(default_factory=Gap)
    _effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting = Waiting(self.outbox)
        self._backoff = Backoff(self.random)

    # --- what happens to it

    def offer(self, change: Change, now: Seconds, moment: Micros) -> list[Effect]:
        """Take an own change, unless it is decided; it is accepted once the effects are durable."""
        return self.offer_all((change,), now, moment)

    def offer_all(self, changes: Iterable[Change], now: Seconds, moment: Micros) -> list[Effect]:
        """Take own changes that came together, as one event."""
        self._now, self._moment = now, moment
        for change in changes:
            if change.id not in self.outbox and not self.machine.is_answered(change.id):
                self.waiting.add_own(change, now)
                self._effects.append(KeepChange(change))
        if any(isinstance(effect, KeepChange) for effect in self._effects):
            self._submit(self._whom_to_ask())
        return self._after()

    def receive(self, sender: VoterId, step: Step, now: Seconds, moment: Micros) -> list[Effect]:
        """Take what another supernode said. Steps that are not the agreement's are not for here."""
        self._now, self._moment = now, moment
        self._heard[sender] = now
        match step:
            case Prepare():
                self._prepare(sender, step)
            case Accept():
                self._accept(sender, step)
            case Promise() | Accepted():
                self._answer(sender, step)
            case Nack():
                self._nack(step)
            case Decided():
                self._decided(sender, step)
            case Submit():
                self._take_in(step.changes)
            case Fetch():
                self._effects.append(SendLog(sender, step.slot))
            case Log():
                self._log(sender, step)
        return self._after()

    def behind(self, sender: VoterId, height: int, now: Seconds, moment: Micros) -> list[Effect]:
        """Another supernode is at this height: fetch what is missing."""
        self._now, self._moment = now, moment
        self._heard[sender] = now
        if height > self.height:
            self._fetch(sender)
        return self._after()

    def tick(self, now: Seconds, moment: Micros) -> list[Effect]:
        """Let time pass: resend, suspect, propose."""
        self._now, self._moment = now, moment
        self._resend()
        return self._after()

    def adopt(self, votes: Iterable[Cast], now: Seconds, moment: Micros) -> list[Effect]:
        """Accept what another supernode accepted, as if its proposer had asked here as well."""
        self._now, self._moment = now, moment
        for cast in votes:
            vote = self.votes.get(cast.slot, NO_VOTE)
            newer = vote.accepted is None or vote.accepted < cast.ballot
            if cast.slot > self.height and newer and vote.promised <= cast.ballot:
                self._keep(cast.slot, Vote(cast.ballot, cast.ballot, cast.batch))
        return self._after()

    def installed(self, slot: int, author: VoterId) -> None:
        """The machine is now that of a snapshot after a later slot; the caller makes it durable."""
        if slot <= self.height:
            raise ValueError(f"a snapshot after slot {slot} is not ahead of {self.height}")
        for change in (*self.outbox, *self.waiting.foreign):
            if self.machine.is_answered(change):
                self.waiting.forget(change)
        self._move_to(slot, author)

    # --- as acceptor

    def _prepare(self, sender: VoterId, step: Prepare) -> None:
        if not self._is_next(sender, step.slot) or self._refuses(sender, step):
            return
        vote = self.votes.get(step.slot, NO_VOTE)
        self._keep(step.slot, Vote(step.ballot, vote.accepted, vote.batch))
        pending = self.waiting.hand_to(sender)
        self._tell(sender, Promise(step.slot, step.ballot, vote.accepted, vote.batch, pending))

    def _accept(self, sender: VoterId, step: Accept) -> None:
        if not self._is_next(sender, step.slot) or self._refuses(sender, step):
            return
        self._keep(step.slot, Vote(step.ballot, step.ballot, step.batch))
        self._tell(sender, Accepted(step.slot, step.ballot, self.waiting.hand_to(sender)))

    def _is_next(self, sender: VoterId, slot: int) -> bool:
        """Whether a slot is the one to vote for: who votes knows all that came before. Who is
        behind is told, and who is ahead is asked."""
        if slot <= self.height:
            self._effects.append(SendLog(sender, slot))
        elif slot > self.height + 1:
            self._fetch(sender)
        return slot == self.height + 1

    def _refuses(self, sender: VoterId, step: Prepare | Accept) -> bool:
        """Whether a higher ballot was promised; the asker is told."""
        promised = self.votes.get(step.slot, NO_VOTE).promised
        if step.ballot < promised:
            pending = self.waiting.hand_to(sender)
            self._tell(sender, Nack(step.slot, step.ballot, promised, pending))
        return step.ballot < promised

    def _keep(self, slot: int, vote: Vote) -> None:
        if self.votes.get(slot) != vote:
            self.votes[slot] = vote
            self._backoff.restart()
            self._effects.append(KeepVote(slot, vote))

    # --- as proposer

    def _propose(self) -> None:
        """Begin an attempt: at once in round 0 with the right to it, else by asking first."""
        slot = self.height + 1
        if self._may_skip_asking(slot):
            self.proposal = Proposal(slot, Ballot(0, self.me), self._now)
            self._vote_for(self.waiting.batch(self.me, self._moment))
            return
        vote, ballot = self.votes.get(slot, NO_VOTE), self._next_ballot(slot)
        self.proposal = Proposal(slot, ballot, self._now)
        self._keep(slot, Vote(ballot, vote.accepted, vote.batch))
        self._ask(Prepare(slot, ballot))
        self._count(self.me, Promise(slot, ballot, vote.accepted, vote.batch))

    def _may_skip_asking(self, slot: int) -> bool:
        """Round 0 is the last author's, and only once: a stored vote may be its own."""
        return self.author == self.me and slot not in self.votes

    def _next_ballot(self, slot: int) -> Ballot:
        """Higher than all that was seen, and than the own promise on disk."""
        promised = self.votes.get(slot, NO_VOTE).promised
        return Ballot(max(self._refused_at, promised.round) + 1, self.me)

    def _answer(self, sender: VoterId, step: Promise | Accepted) -> None:
        self._take_in(step.pending)
        proposal = self.proposal
        if proposal is None or not self._is_for(step, proposal):
            return
        if isinstance(step, Promise) is (proposal.batch is None):
            self._count(sender, step if isinstance(step, Promise) else None)

    def _is_for(self, step: Promise | Accepted | Nack, proposal: Proposal) -> bool:
        """Whether this answers the current question."""
        return (step.slot, step.ballot) == (proposal.slot, proposal.ballot)

    def _count(self, sender: VoterId, promise: Promise | None) -> None:
        """Count an answer once per voter; a majority ends the phase."""
        proposal = self.proposal
        if proposal is None or sender not in self.machine.voters:
            return
        proposal.answers[sender] = promise
        if not self._has_majority(proposal):
            return
        if proposal.batch is not None:
            self._decide(proposal.slot, proposal.ballot, proposal.batch)
            return
        bound = self._bound(p for p in proposal.answers.values() if p is not None)
        self._vote_for(bound or self.waiting.batch(self.me, self._moment))

    def _has_majority(self, proposal: Proposal) -> bool:
        return 2 * len(proposal.answers) > len(self.machine.voters)

    def _bound(self, promises: Iterable[Promise]) -> Batch | None:
        """What must be proposed, since it may be decided: the batch accepted last."""
        highest = max(promises, key=lambda p: p.accepted or NO_VOTE.promised)
        return highest.batch

    def _vote_for(self, batch: Batch) -> None:
        """Begin the second phase with the own vote, unless a higher ballot was promised since."""
        proposal = self.proposal
        if proposal is None:
            return
        if self.votes.get(proposal.slot, NO_VOTE).promised > proposal.ballot:
            self._give_up()
            return
        self._keep(proposal.slot, Vote(proposal.ballot, proposal.ballot, batch))
        proposal.batch, proposal.since, proposal.answers = batch, self._now, {}
        self._ask(Accept(proposal.slot, proposal.ballot, batch))
        self._count(self.me, None)

    def _nack(self, step: Nack) -> None:
        self._take_in(step.pending)
        if step.slot == self.height + 1:
            self._refused_at = max(self._refused_at, step.promised.round)
        if self.proposal is not None and self._is_for(step, self.proposal):
            self._give_up()

    def _give_up(self) -> None:
        """Leave the slot to the higher ballot for a while."""
        self.proposal = None
        self._backoff.refused()

    # --- what is decided

    def _decide(self, slot: int, ballot: Ballot, batch: Batch) -> None:
        """Take a decision of this supernode's own making, and tell everybody."""
        voted = self.proposal.answers.keys() if self.proposal is not None else ()
        everyone = self.machine.voters | self.machine.standbys
        for other in sorted(everyone - {self.me}):
            self._tell(other, Decided(slot, ballot, None if other in voted else batch))
        self._apply(slot, batch)

    def _decided(self, sender: VoterId, step: Decided) -> None:
        if step.slot <= self.height:
            return
        vote = self.votes.get(step.slot, NO_VOTE)
        batch = step.batch or (vote.batch if vote.accepted == step.ballot else None)
        if step.slot == self.height + 1 and batch is not None:
            self._apply(step.slot, batch)
            return
        self._gap.keep(sender, step, self.height)
        self._fetch(sender)

    def _log(self, sender: VoterId, step: Log) -> None:
        for slot, batch in enumerate(step.batches, start=step.slot):
            if slot == self.height + 1:
                self._apply(slot, batch)
        if step.height > self.height:
            self._fetch(sender)

    def _apply(self, slot: int, batch: Batch) -> None:
        if not self.machine.knows_rules:
            return
        self._effects.append(KeepBatch(slot, batch))
        for change in batch.changes:
            self.waiting.forget(change.id)
        self.machine.apply(slot, batch)
        self._move_to(slot, batch.author)

    def _move_to(self, slot: int, author: VoterId) -> None:
        """The next slot begins; a new author is handed what waits here."""
        is_new, self.author, self.height = author != self.author, author, slot
        self.votes = {n: vote for n, vote in self.votes.items() if n > slot}
        self._gap.close(slot)
        self._backoff.reset()
        self.proposal, self._refused_at = None, 0
        self._heard.setdefault(author, self._now)
        if is_new:
            self._submit(author)

    # --- what time brings

    def _after(self) -> list[Effect]:
        """After every event: go on with what is known, propose if that is due, give the effects."""
        while following := self._gap.take(self.height + 1):
            self._decided(*following)
        while self.proposal is None and self._is_due():
            self._propose()
        effects, self._effects = self._effects, []
        return effects

    def _is_due(self) -> bool:
        """Whether this supernode should propose now."""
        if self.me not in self.machine.voters:
            return False
        if self.height + 1 in self.votes:
            return self._backoff.is_over(self._now, self.pace.delay)
        if not self.waiting.has_some(self._moment):
            return False
        is_overdue = self.waiting.longest(self._now) > 3 * self.pace.delay
        return self.author == self.me or self._author_is_silent() or is_overdue

    def _author_is_silent(self) -> bool:
        if self.author not in self.machine.voters:
            return True
        return self._now - self._heard.setdefault(self.author, self._now) > self.pace.suspect

    def _resend(self) -> None:
        """Say again what was not answered."""
        proposal = self.proposal
        if proposal is not None and self._now - proposal.since >= self.pace.resend:
            proposal.since = self._now
            self._ask(
                Prepare(proposal.slot, proposal.ballot)
                if proposal.batch is None
                else Accept(proposal.slot, proposal.ballot, proposal.batch)
            )
        if self.outbox and self._now - self._submitted >= self.pace.resend:
            self._submitted = self._now
            self.waiting.hand_again()
            self._submit(self._whom_to_ask())

    def _whom_to_ask(self) -> VoterId:
        """The author; when that is silent, a standby, which cannot propose itself, asks anyone.

        A newcomer knows no author and no voters, and asks nobody yet.
        """
        voters = sorted(self.machine.voters)
        if not voters or self.me in voters or not self._author_is_silent():
            return self.author
        return voters[int(self.random() * len(voters)) % len(voters)]

    # --- what it says

    def _submit(self, to: VoterId) -> None:
        if to not in ("", self.me) and (changes := self.waiting.hand_to(to)):
            self._tell(to, Submit(changes))

    def _fetch(self, sender: VoterId) -> None:
        """Ask for what is missing; not again before it may have come."""
        if self._gap.may_ask(sender, self.height, self._now, self.pace.resend):
            self._tell(sender, Fetch(self.height + 1))

    def _take_in(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if not self.machine.is_answered(change.id):
                self.waiting.add_foreign(change, self._now)

    def _ask(self, step: Prepare | Accept) -> None:
        """Ask the voters that have not answered yet."""
        answered = self.proposal.answers.keys() if self.proposal is not None else ()
        for voter in sorted(self.machine.voters - {self.me, *answered}):
            self._tell(voter, step)

    def _tell(self, to: VoterId, step: Step) -> None:
        self._effects.append(Send(to, step))
