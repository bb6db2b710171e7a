"""A witness that sees every disk and hears every word, and holds both to the agreement's rules.

Its rules are older than the code it watches: what a majority has on disk is decided, whatever
anyone says. They are checked at each write and before each message, not at the end.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nm_bus.core.ledger.batches import order
from nm_bus.core.ledger.effects import KeepBatch, KeepVote, Vote
from nm_bus.messages import (
    Accept,
    Accepted,
    Ballot,
    Batch,
    ChangeId,
    Decided,
    Log,
    Prepare,
    Promise,
    VoterId,
)
from nm_lab.simulate.node import KeepWhole, Kept, Said, SimulatedNode, WholeState
from nm_lab.simulate.tally import Replica

# --- What a trace says of messages, ballots and batches: a few words each.

_SHOWN = ("slot", "ballot", "accepted", "promised", "height", "author", "batch")


def described(said: Said) -> str:
    """A message: its kind, and what of it tells ballots and batches apart."""
    said = getattr(said, "said", said)  # without what each message says of its sender
    parts = [type(said).__name__.lower()]
    parts += [
        f"{name} {brief(value)}"
        for name in _SHOWN
        if (value := getattr(said, name, None)) is not None
    ]
    return " ".join(parts)


def brief(value: object) -> str:
    """A ballot as `2.a#1`, a batch as its author and changes."""
    match value:
        case Ballot(round, proposer):
            return f"{round}.{proposer}" if round >= 0 else "none"
        case Batch():
            return f"of {value.author} [{', '.join(change.id for change in value.changes)}]"
        case Vote(promised, accepted, batch):
            voted = f", accepted {brief(accepted)} {brief(batch)}" if accepted else ""
            return f"promised {brief(promised)}{voted}"
    return str(value)


RULES = {
    "one value a slot": "two batches were decided for a slot",
    "one value a ballot": "two batches were proposed with one ballot, perhaps over a restart",
    "promises are kept": "a vote fell below a promise, or a promise fell",
    "promises tell all": "a promise did not report what its voter accepted last",
    "durable before said": "a message left before what it says was on disk",
    "asked first": "a batch was proposed without the right to it",
    "nothing else possible": "a batch was proposed while another one could still be decided",
    "decided by a majority": "something was taken as decided that no majority voted for",
    "voters follow from the log": "voters or author differ from what the slots before say",
    "votes last": "a vote was dropped before its slot was decided on that disk",
    "no gaps": "a slot was applied before the one below it",
    "snapshots are whole": "a snapshot lowered the height, or lacked something",
    "one answer a change": "a change was answered twice, differently",
    "same state": "two supernodes at one slot have different states",
    "batches are in order": "a batch is not in the order of (timestamp, supernode, id)",
    "slips are found": "a supernode went on after its program had computed something else",
    "one history": "supernodes that go on have different histories",
    "stops have a cause": "a supernode stopped, though its disk and its program are sound",
    "healed means agreed": "all is healed, but not all that was accepted is agreed everywhere",
}
"""What is held, and what it means when it is not."""


class RuleBrokenError(AssertionError):
    """A rule was broken. `rule` is its name in `RULES`."""

    def __init__(self, rule: str, where: str) -> None:
        self.rule = rule
        super().__init__(f"{rule}: {RULES[rule]} ({where})")


def is_majority(some: Iterable[VoterId], voters: frozenset[VoterId]) -> bool:
    """Whether these are more than half of the voters."""
    return 2 * len(voters.intersection(some)) > len(voters)


@dataclass(slots=True)
class Monitor:
    """`states` is the true state after each decided slot, worked out here and nowhere else."""

    nodes: Mapping[VoterId, SimulatedNode]
    genesis: Replica
    chosen: dict[int, Batch] = field(default_factory=dict)
    states: list[Replica] = field(init=False)
    _proposed: dict[int, dict[Ballot, Batch]] = field(default_factory=lambda: defaultdict(dict))
    _promised: dict[tuple[int, Ballot], set[VoterId]] = field(
        default_factory=lambda: defaultdict(set)
    )
    _accepted: dict[tuple[int, Ballot], set[VoterId]] = field(
        default_factory=lambda: defaultdict(set)
    )
    _votes: dict[tuple[VoterId, int], Vote] = field(default_factory=dict)
    _heights: dict[VoterId, int] = field(default_factory=lambda: defaultdict(int))
    _answers: dict[ChangeId, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states = [self.genesis.copy()]

    # --- what becomes durable

    def kept(self, node: SimulatedNode, effect: Kept) -> None:
        """This has just become durable."""
        match effect:
            case KeepVote(slot, vote):
                before = self._votes.get((node.me, slot), Vote(Ballot(-1, "")))
                where = f"slot {slot}, {node.me}: {brief(before)} became {brief(vote)}"
                if vote.promised < before.promised or slot <= self._heights[node.me]:
                    raise RuleBrokenError("promises are kept", where)
                if vote.accepted != before.accepted:
                    if (
                        vote.accepted is None
                        or not before.promised <= vote.accepted <= vote.promised
                    ):
                        raise RuleBrokenError("promises are kept", where)
                    self._know(slot, vote.accepted, vote.batch)
                    self._accepted[slot, vote.accepted].add(node.me)
                self._votes[node.me, slot] = vote
                self._promised[slot, vote.promised].add(node.me)
                if vote.accepted is not None and vote.batch is not None:
                    self._perhaps_chosen(slot, vote.accepted, vote.batch)
            case KeepBatch(slot, batch):
                if slot != self._heights[node.me] + 1:
                    raise RuleBrokenError("no gaps", f"{node.me} applied slot {slot}")
                if self.chosen.get(slot) != batch:
                    raise RuleBrokenError("decided by a majority", f"slot {slot} at {node.me}")
                self._heights[node.me] = slot
            case KeepWhole(whole):
                if whole.slot <= self._heights[node.me]:
                    raise RuleBrokenError("snapshots are whole", f"slot {whole.slot} at {node.me}")
                self._check_whole(whole)
                self._heights[node.me] = whole.slot

    def _perhaps_chosen(self, slot: int, ballot: Ballot, batch: Batch) -> None:
        if not is_majority(self._accepted[slot, ballot], self._voters(slot)):
            return
        if self.chosen.setdefault(slot, batch) != batch:
            raise RuleBrokenError(
                "one value a slot", f"slot {slot}: {brief(self.chosen[slot])} and {brief(batch)}"
            )
        if slot == len(self.states):
            state = self.states[-1].copy()
            state.apply(slot, batch)
            state.told.clear()
            self.states.append(state)

    def _voters(self, slot: int) -> frozenset[VoterId]:
        """Who decides a slot."""
        if slot > len(self.states):
            raise RuleBrokenError(
                "voters follow from the log", f"slot {slot} came before {slot - 1}"
            )
        return self.states[slot - 1].voters

    def _know(self, slot: int, ballot: Ballot, batch: Batch | None) -> None:
        """Nobody may use a ballot for anything else."""
        if batch is None or self._proposed[slot].setdefault(ballot, batch) != batch:
            raise RuleBrokenError("one value a ballot", f"slot {slot}, ballot {brief(ballot)}")
        if list(batch.changes) != sorted(batch.changes, key=order):
            raise RuleBrokenError("batches are in order", f"slot {slot}, ballot {brief(ballot)}")

    # --- what is said

    def says(self, node: SimulatedNode, said: Said) -> None:
        """A message is about to leave."""
        match said:
            case Promise():
                self._check_promise(node, said)
            case Accepted(slot, ballot):
                if not _has_accepted(node, slot, ballot):
                    raise RuleBrokenError("durable before said", f"slot {slot}, vote of {node.me}")
            case Prepare(slot, ballot):
                if node.disk.votes.get(slot, _NONE).promised < ballot:
                    raise RuleBrokenError(
                        "durable before said", f"slot {slot}, prepare of {node.me}"
                    )
            case Accept():
                self._check_accept(node, said)
            case Decided():
                batch = said.batch or self._proposed[said.slot].get(said.ballot)
                self._check_decided(said.slot, batch, node.me)
            case Log():
                for slot, batch in enumerate(said.batches, start=said.slot):
                    self._check_decided(slot, batch, node.me)
            case WholeState():
                self._check_whole(said)

    def _check_promise(self, node: SimulatedNode, step: Promise) -> None:
        vote, where = node.disk.votes.get(step.slot, _NONE), f"slot {step.slot}, {node.me}"
        if vote.promised < step.ballot:
            raise RuleBrokenError("durable before said", where)
        if (vote.accepted, vote.batch) != (step.accepted, step.batch):
            raise RuleBrokenError("promises tell all", where)

    def _check_accept(self, node: SimulatedNode, step: Accept) -> None:
        slot, ballot = step.slot, step.ballot
        where = f"slot {slot}, ballot {brief(ballot)} of {node.me}"
        voters = self._voters(slot)
        if not _has_accepted(node, slot, ballot):
            raise RuleBrokenError("durable before said", where)
        if ballot.round == 0:
            has_the_right = slot > 1 and self.chosen[slot - 1].author == ballot.proposer
        else:
            has_the_right = is_majority(self._promised[slot, ballot], voters)
        if not has_the_right:
            raise RuleBrokenError("asked first", where)
        for other, batch in self._proposed[slot].items():
            if other < ballot and batch != step.batch and self._is_possible(slot, other, voters):
                raise RuleBrokenError("nothing else possible", f"{where}, beside {brief(other)}")

    def _is_possible(self, slot: int, ballot: Ballot, voters: frozenset[VoterId]) -> bool:
        """Whether a ballot has a majority, or could yet get one from those free to accept it."""
        free = (
            voter
            for voter in voters
            if self._heights[voter] < slot
            and self._votes.get((voter, slot), _NONE).promised <= ballot
        )
        return is_majority({*self._accepted[slot, ballot], *free}, voters)

    def _check_decided(self, slot: int, batch: Batch | None, who: VoterId) -> None:
        if batch is None or self.chosen.get(slot) != batch:
            raise RuleBrokenError("decided by a majority", f"slot {slot}, said by {who}")

    def _check_whole(self, whole: WholeState) -> None:
        where = f"after slot {whole.slot}"
        if whole.slot >= len(self.states):
            raise RuleBrokenError("decided by a majority", where)
        has = (whole.author, whole.tally.parts())
        if has != (self._author(whole.slot), self.states[whole.slot].parts()):
            raise RuleBrokenError("snapshots are whole", where)

    # --- what is known

    def settled(self, node: SimulatedNode) -> None:
        """An event is over, all of it durable: look at the state that it left in memory."""
        height, where = node.agreement.height, f"{node.me} at {node.agreement.height}"
        true = self.states[height]
        for voter, slot in [key for key in self._votes if key[0] == node.me]:
            if slot <= self._heights[voter]:
                del self._votes[voter, slot]
            elif node.disk.votes.get(slot) != self._votes[voter, slot]:
                raise RuleBrokenError("votes last", f"slot {slot} at {voter}")
        for change, answer in node.tally.told:
            if self._answers.setdefault(change, answer) != answer:
                raise RuleBrokenError("one answer a change", f"{change} at {node.me}")
        node.tally.told.clear()
        if (node.tally.voters, node.agreement.author) != (true.voters, self._author(height)):
            raise RuleBrokenError("voters follow from the log", where)
        if node.tally.parts() != true.parts():
            raise RuleBrokenError("same state", where)

    def _author(self, slot: int) -> VoterId:
        return self.chosen[slot].author if slot else ""


def _has_accepted(node: SimulatedNode, slot: int, ballot: Ballot) -> bool:
    accepted = node.disk.votes.get(slot, _NONE).accepted
    return accepted is not None and accepted >= ballot


_NONE = Vote(Ballot(-1, ""))
