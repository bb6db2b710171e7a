"""Bugs planted on purpose, a line or two each: the tests of the tests must find every one.

Each is a slip that a tired reader would let pass, made by overriding one method of what is sound.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count

from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.effects import KeepVote, Proposal, Vote
from nm_bus.core.ledger.waiting import Waiting
from nm_bus.messages import (
    Accept,
    Accepted,
    Ballot,
    Batch,
    Change,
    ChangeId,
    Decided,
    Micros,
    Nack,
    Prepare,
    Promise,
    Seconds,
    VoterId,
)
from nm_lab.simulate.node import Kept, SimulatedNode, WholeState
from nm_lab.simulate.plantedguards import (
    ComparesTheNewestOnly,
    CountsAnotherHistory,
    GoesOnOutvoted,
)
from nm_lab.simulate.tally import TallyMachine
from nm_lab.simulate.variant import Variant

NOTHING = Vote(Ballot(-1, ""))


# --- acceptors


class PromiseLostAtACrash(SimulatedNode):
    """What was promised but not accepted is not read back."""

    def votes_on_disk(self) -> dict[int, Vote]:
        """Only what was accepted."""
        return {
            slot: replace(vote, promised=vote.accepted)
            for slot, vote in self.disk.votes.items()
            if vote.accepted is not None
        }


class OwnVoteNotDurable(Agreement):
    """The proposer's own vote is in memory alone."""

    def _keep(self, slot: int, vote: Vote) -> None:
        if vote.accepted is not None and vote.accepted.proposer == self.me:
            self.votes[slot] = vote
        else:
            super()._keep(slot, vote)


class AcceptsBelowThePromise(Agreement):
    """An accept is not compared with the promise."""

    def _refuses(self, sender: VoterId, step: Prepare | Accept) -> bool:
        return isinstance(step, Prepare) and super()._refuses(sender, step)


class AcceptLeavesThePromiseLow(Agreement):
    """A vote does not raise the promise to its ballot."""

    def _keep(self, slot: int, vote: Vote) -> None:
        promised = self.votes.get(slot, NOTHING).promised
        super()._keep(slot, replace(vote, promised=promised) if vote.accepted else vote)


class PrepareNotStored(Agreement):
    """A promise is given and forgotten."""

    def _prepare(self, sender: VoterId, step: Prepare) -> None:
        before = dict(self.votes)
        super()._prepare(sender, step)
        self.votes = before
        self._effects = [e for e in self._effects if not isinstance(e, KeepVote)]


class PromiseErasesTheVote(Agreement):
    """A promise takes the place of what was accepted."""

    def _prepare(self, sender: VoterId, step: Prepare) -> None:
        vote = self.votes.get(step.slot)
        if vote is not None:
            self.votes[step.slot] = Vote(vote.promised)
        super()._prepare(sender, step)


# --- proposers


class CountsMessages(Agreement):
    """An answer that comes twice counts twice."""

    _asked: object = None
    _answers: int = 0

    def _count(self, sender: VoterId, promise: Promise | None) -> None:
        asked = self.proposal and (self.proposal.ballot, self.proposal.batch)
        self._answers = self._answers + 1 if asked == self._asked else 1
        self._asked = asked
        super()._count(sender, promise)

    def _has_majority(self, proposal: Proposal) -> bool:
        return 2 * self._answers > len(self.machine.voters)


class CountsStandbys(Agreement):
    """Standbys are asked too, and their answers count."""

    def _ask(self, step: Prepare | Accept) -> None:
        super()._ask(step)
        for standby in sorted(self.machine.standbys - {self.me}):
            self._tell(standby, step)

    def _count(self, sender: VoterId, promise: Promise | None) -> None:
        if self.proposal is not None and sender in self.machine.standbys:
            sender = min(self.machine.voters - self.proposal.answers.keys(), default=sender)
        super()._count(sender, promise)


class AcceptedIsIgnored(Agreement):
    """The own batch is proposed, whatever was accepted."""

    def _bound(self, promises: Iterable[Promise]) -> Batch | None:
        return None


class LowestIsTaken(Agreement):
    """Of what was accepted, the first is proposed and not the last."""

    def _bound(self, promises: Iterable[Promise]) -> Batch | None:
        accepted = [p for p in promises if p.accepted is not None]
        return min(accepted, key=lambda p: p.accepted or p.ballot).batch if accepted else None


class OneLessIsEnoughToAsk(Agreement):
    """The first phase ends with a majority minus one."""

    def _has_majority(self, proposal: Proposal) -> bool:
        enough = len(self.machine.voters) // 2
        return super()._has_majority(proposal) or (
            proposal.batch is None and len(proposal.answers) >= enough
        )


class OneLessIsEnoughToDecide(Agreement):
    """The second phase ends with a majority minus one."""

    def _has_majority(self, proposal: Proposal) -> bool:
        enough = len(self.machine.voters) // 2
        return super()._has_majority(proposal) or (
            proposal.batch is not None and len(proposal.answers) >= enough
        )


class AnswersToAnotherBallot(Agreement):
    """An answer counts whatever ballot it is for."""

    def _is_for(self, step: Promise | Accepted | Nack, proposal: Proposal) -> bool:
        return step.slot == proposal.slot


class AnyoneSkipsAsking(Agreement):
    """Round 0 belongs to everybody."""

    def _may_skip_asking(self, slot: int) -> bool:
        return slot not in self.votes


class RoundZeroAgain(Agreement):
    """After a restart the last author uses round 0 once more."""

    _began: int = 0

    def _may_skip_asking(self, slot: int) -> bool:
        is_first, self._began = slot != self._began, slot
        return self.author == self.me and is_first


class BallotForgotten(Agreement):
    """A new ballot is only above what this life was refused with."""

    def _next_ballot(self, slot: int) -> Ballot:
        self._refused_at += 1
        return Ballot(self._refused_at, self.me)


# --- what is decided


class NoGapRule(Agreement):
    """A decision is applied when it comes."""

    def _decided(self, sender: VoterId, step: Decided) -> None:
        if step.slot > self.height and step.batch is not None:
            self._apply(step.slot, step.batch)
        else:
            super()._decided(sender, step)


class AsTheyCame(Waiting):
    """A batch in the order in which its changes came."""

    def batch(self, author: VoterId, moment: Micros) -> Batch:
        """The same changes, unsorted."""
        batch = super().batch(author, moment)
        came = {**self.foreign, **self.own}.values()
        return Batch(author, batch.time, tuple(c for c in came if c in batch.changes))


class Unsorted(Agreement):
    """Batches are not in order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.waiting = AsTheyCame(self.outbox)


# --- machines


class VotersASlotLate(TallyMachine):
    """New voters count from the slot after the next one."""

    _elected: Iterable[VoterId] = ()

    def apply(self, slot: int, batch: Batch) -> None:
        """Take the decision, and seat those that were elected before."""
        elected, self._elected = self._elected, ()
        super().apply(slot, batch)
        super()._seat(elected)

    def _seat(self, voters: Iterable[VoterId]) -> None:
        self._elected = voters


_clock = count()


class ReadsAClock(TallyMachine):
    """The state depends on when it was made."""

    def _count(self, change: Change) -> None:
        super()._count(change)
        self.head += next(_clock)


class NoDedupe(TallyMachine):
    """Nobody remembers what was answered: a change that is decided twice counts twice."""

    def is_answered(self, change: ChangeId) -> bool:
        """Never."""
        return False

    def apply(self, slot: int, batch: Batch) -> None:
        """Count all."""
        for change in batch.changes:
            self._count(change)
            self.told.append((change.id, self.answers[change.id]))


# --- drivers


class SaidBeforeDurable(SimulatedNode):
    """Votes are written with the event after."""

    _late: tuple[Kept, ...] = ()

    def start(self) -> None:
        """What was not written is gone."""
        self._late = ()
        super().start()

    def persist(self, effects: Iterable[Kept], kept: Callable[[Kept], None]) -> None:
        """Leave the votes for later."""
        late, effects = self._late, tuple(effects)
        self._late = tuple(e for e in effects if isinstance(e, KeepVote))
        height = self.disk.height
        late = tuple(e for e in late if isinstance(e, KeepVote) and e.slot > height)
        super().persist([*late, *(e for e in effects if e not in self._late)], kept)


class HearsAnotherBeginning(SimulatedNode):
    """Votes of a ledger that began with another project file count."""

    def hears(self, sender: VoterId) -> bool:
        """Everybody."""
        return True


class TakesAnOldSnapshot(SimulatedNode):
    """A snapshot is taken whatever slot it is of."""

    def install(self, whole: WholeState, now: Seconds, moment: Micros) -> list[Kept]:
        """Go back to it if need be."""
        self.agreement.height = min(self.agreement.height, whole.slot - 1)
        return super().install(whole, now, moment)


class SnapshotWithoutVoters(SimulatedNode):
    """A snapshot has the voters of the beginning."""

    def __post_init__(self) -> None:
        self.first = self.disk.base.tally
        super().__post_init__()

    def snapshot(self) -> WholeState:
        """All but the voters."""
        whole = super().snapshot()
        assert isinstance(whole.tally, TallyMachine)
        whole.tally.voters, whole.tally.standbys = self.first.voters, self.first.standbys
        return whole


class SnapshotWithoutAnswers(SimulatedNode):
    """A snapshot does not say what was answered."""

    def snapshot(self) -> WholeState:
        """All but the answers."""
        whole = super().snapshot()
        assert isinstance(whole.tally, TallyMachine)
        whole.tally.answers.clear()
        return whole


# --- liveness


class KeepsItsChanges(Agreement):
    """Changes are handed to the last author alone, be it a standby."""

    def _whom_to_ask(self) -> VoterId:
        return self.author


class NeverResends(Agreement):
    """What was lost is lost."""

    def _resend(self) -> None:
        """Wait for an answer."""


class NeverFetches(Agreement):
    """Who missed a decision does not ask for it."""

    def _fetch(self, sender: VoterId) -> None:
        """Wait for it to come."""


BUGS: dict[str, Variant] = {
    "promise-lost-at-a-crash": Variant(node=PromiseLostAtACrash),
    "own-vote-not-durable": Variant(OwnVoteNotDurable),
    "accepts-below-the-promise": Variant(AcceptsBelowThePromise),
    "accept-leaves-the-promise-low": Variant(AcceptLeavesThePromiseLow),
    "prepare-not-stored": Variant(PrepareNotStored),
    "promise-erases-the-vote": Variant(PromiseErasesTheVote),
    "counts-messages": Variant(CountsMessages),
    "counts-standbys": Variant(CountsStandbys, kind="voters"),
    "accepted-is-ignored": Variant(AcceptedIsIgnored),
    "lowest-is-taken": Variant(LowestIsTaken),
    "one-less-is-enough-to-ask": Variant(OneLessIsEnoughToAsk),
    "one-less-is-enough-to-decide": Variant(OneLessIsEnoughToDecide),
    "answers-to-another-ballot": Variant(AnswersToAnotherBallot),
    "anyone-skips-asking": Variant(AnyoneSkipsAsking),
    "round-zero-again": Variant(RoundZeroAgain),
    "ballot-forgotten": Variant(BallotForgotten),
    "no-gap-rule": Variant(NoGapRule),
    "unsorted": Variant(Unsorted),
    "voters-a-slot-late": Variant(tally=VotersASlotLate, kind="voters"),
    "reads-a-clock": Variant(tally=ReadsAClock),
    "no-dedupe": Variant(tally=NoDedupe),
    "said-before-durable": Variant(node=SaidBeforeDurable),
    "hears-another-beginning": Variant(node=HearsAnotherBeginning, kind="beginnings"),
    "takes-an-old-snapshot": Variant(node=TakesAnOldSnapshot, kind="snapshots"),
    "snapshot-without-voters": Variant(node=SnapshotWithoutVoters, kind="snapshots"),
    "snapshot-without-answers": Variant(node=SnapshotWithoutAnswers, kind="snapshots"),
    "counts-another-history": Variant(node=CountsAnotherHistory, kind="lost-writes"),
    "goes-on-outvoted": Variant(node=GoesOnOutvoted, kind="lost-writes"),
    "compares-the-newest-only": Variant(node=ComparesTheNewestOnly, kind="slips"),
    "keeps-its-changes": Variant(KeepsItsChanges, kind="schedules"),
    "never-resends": Variant(NeverResends, kind="schedules"),
    "never-fetches": Variant(NeverFetches, kind="schedules"),
}
"""By the name that the command line takes."""
