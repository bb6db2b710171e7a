"""A simulated supernode with all that guards its vote: its lives, and the heads that all words say.

Its disk may lose its last write, or come back as it was long ago; and its program may compute
something else than the others' from some revision on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, cast

from nm_agents.supernode.ledger.driver import PATIENCE as BEATS
from nm_bus.core.ledger.boots import Boots
from nm_bus.core.ledger.effects import Send
from nm_bus.core.ledger.guard import Guard, PeerWord, Spoken
from nm_bus.core.ledger.heads import Heads
from nm_bus.messages import (
    Accept,
    Ballot,
    Batch,
    Beat,
    Change,
    ChangeId,
    Echo,
    Log,
    Mark,
    Micros,
    Prepare,
    Recall,
    Recalled,
    Seconds,
    Step,
    VoterId,
)
from nm_lab.simulate.federation import BEAT
from nm_lab.simulate.node import Kept, KeptCall, Said, SimulatedDisk, SimulatedNode, WholeState
from nm_lab.simulate.tally import TallyMachine

PATIENCE: Seconds = BEATS * BEAT
"""How long a new life waits for voters that do not say what they accepted."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """What is said, with what each message says of its sender."""

    boot: int
    nonce: str
    mark: Mark
    said: Said
    past: tuple[Mark, ...] = ()
    """How its sender came to a snapshot, slot by slot."""


@dataclass(slots=True)
class GuardedMachine:
    """A machine whose own supernode has no vote while it `listens`; `slips` is the revision from
    which on it computes something else, 0 for none."""

    me: VoterId
    tally: TallyMachine
    slips: int = 0
    listens: bool = True
    marks: list[Mark] = field(default_factory=list)
    slipped: int = 0
    """The slot at which it first computed something else."""

    @property
    def voters(self) -> frozenset[VoterId]:
        """See Machine."""
        return self.tally.voters - {self.me} if self.listens else self.tally.voters

    @property
    def standbys(self) -> frozenset[VoterId]:
        """See Machine."""
        return self.tally.standbys

    @property
    def knows_rules(self) -> bool:
        """Always."""
        return True

    def apply(self, slot: int, batch: Batch) -> None:
        """Take the decision of the next slot."""
        before = self.tally.revision
        self.tally.apply(slot, batch)
        if self.slips and self.tally.revision >= max(self.slips, before + 1):
            self.tally.head += 1
            self.slipped = self.slipped or slot
        self.marks.append(mark_of(slot, self.tally))

    def is_answered(self, change: ChangeId) -> bool:
        """See Machine."""
        return self.tally.is_answered(change)


def mark_of(slot: int, tally: TallyMachine) -> Mark:
    """How far a machine is after a slot."""
    return Mark(slot, tally.revision, str(tally.head))


@dataclass(slots=True)
class SavedDisk:
    """A disk at some moment."""

    disk: SimulatedDisk
    boot: int
    known: dict[VoterId, Echo]


@dataclass(slots=True)
class GuardedNode(SimulatedNode):
    """`reason` says why it has stopped, if it has."""

    heads_class: ClassVar[type[Heads]] = Heads
    slips: int = 0
    reason: str = ""
    boot: int = 0
    known: dict[VoterId, Echo] = field(default_factory=dict)
    guard: Guard[SpokenWord] = field(init=False)
    machine: GuardedMachine = field(init=False)
    slipped: int = 0
    """The slot at which its program first computed something else."""
    past: dict[int, Mark] = field(default_factory=dict)
    """How far it was at each slot, as the feed on its disk tells."""
    moved_on: bool = False
    """Whether it went on after it had computed something else, and did not notice then."""
    _lives: int = 0
    _born: Seconds | None = None
    _before: SavedDisk | None = None

    # --- its disk

    def start(self) -> None:
        """Live again, from the disk alone."""
        self._lives, self.boot, self.reason, self._born = self._lives + 1, self.boot + 1, "", None
        self._take_up(self.disk.base.tally.copy())
        base = mark_of(self.disk.base.slot, cast("TallyMachine", self.disk.base.tally))
        for slot in sorted(self.disk.log):
            self.machine.apply(slot, self.disk.log[slot])
        self.tally.told.clear()
        self.agreement = self.agreement_class(
            self.me,
            self.machine,
            self.pace,
            self.random,
            height=self.disk.height,
            author=self.disk.author,
            votes=self.votes_on_disk(),
            outbox=dict(self.disk.outbox),
        )
        boots = Boots(self.me, self.boot, f"{self._lives}", dict(self.known))
        self.guard = Guard(self.agreement, boots, self.heads_class())
        self.past |= {mark.height: mark for mark in self.machine.marks}
        known = [self.past[slot] for slot in sorted(self.past) if slot <= self.disk.height]
        self.guard.heads.begin(known or [base])
        self.machine.marks.clear()

    def saved(self) -> SavedDisk:
        """A copy of the disk as it is now."""
        one = self.disk
        copy = SimulatedDisk(one.base, dict(one.log), dict(one.votes), dict(one.outbox))
        return SavedDisk(copy, self.boot, dict(self.known))

    def lose_last_write(self) -> None:
        """What was written last is not there; it was said already."""
        if self._before is not None:
            self.disk, self.known, self._before = self._before.disk, self._before.known, None

    def last_vote(self) -> tuple[int, Ballot] | None:
        """The slot and ballot of the vote that was the last write, if it was one."""
        before = self._before.disk.votes if self._before is not None else {}
        for slot, vote in self.disk.votes.items():
            if vote.accepted is not None and vote != before.get(slot):
                return slot, vote.accepted
        return None

    def put_back(self, saved: SavedDisk) -> None:
        """The disk is as it was once."""
        self.disk, self.boot, self.known = saved.disk, saved.boot, saved.known
        self._before = None

    def persist(self, effects: Iterable[Kept], kept: KeptCall) -> None:
        """See SimulatedNode."""
        lasting = [effect for effect in effects if not isinstance(effect, Send)]
        if lasting:
            self._before = self.saved()
            self.known = dict(self.guard.boots.known)
        SimulatedNode.persist(self, lasting, kept)

    # --- what happens to it

    def offer(self, change: Change, now: Seconds, moment: Micros) -> list[Kept]:
        """See SimulatedNode."""
        return [] if self.reason else [*self.agreement.offer(change, now, moment)]

    def tick(self, now: Seconds, moment: Micros) -> list[Kept]:
        """See SimulatedNode."""
        if self.reason:
            return []
        self._born = now if self._born is None else self._born
        self._confirm(now)
        return self._compared([*self.agreement.tick(now, moment)])

    def take(self, sender: VoterId, said: Said, now: Seconds, moment: Micros) -> list[Kept]:
        """See SimulatedNode."""
        height, slipped = self.agreement.height, self.slipped
        effects = self._consider(sender, cast("SpokenWord", said), now, moment)
        if self.agreement.height > height:
            self.moved_on = self.moved_on or bool(slipped and not self.guard.heads.differing)
        return effects

    def due(self) -> list[tuple[VoterId, Said]]:
        """See SimulatedNode."""
        return cast("list[tuple[VoterId, Said]]", self.guard.due())

    def wrapped(self, said: Said) -> Said:
        """See SimulatedNode."""
        mark = mark_of(self.agreement.height, cast("TallyMachine", self.tally))
        past = tuple(self.past.values()) if isinstance(said, WholeState) else ()
        return cast("Said", SpokenWord(self.boot, self.guard.boots.nonce, mark, said, past))

    def regular(self, others: Iterable[VoterId]) -> list[tuple[VoterId, Said]]:
        """See SimulatedNode. In a new life it asks back, too."""
        if self.reason:
            return []
        beat = Beat(self.agreement.height, dict(self.guard.boots.known))
        asked = sorted(self.guard.boots.asks(self.tally.voters)) if self.machine.listens else []
        return [*((other, beat) for other in others), *((voter, Recall()) for voter in asked)]

    # --- how it judges

    def _consider(
        self, sender: VoterId, word: SpokenWord, now: Seconds, moment: Micros
    ) -> list[Kept]:
        said = word.said
        # a snapshot travels as itself here; of its sender it says what a log without batches does
        step = Log(said.slot + 1, (), said.slot) if isinstance(said, WholeState) else said
        spoken = Spoken(word.boot, word.nonce, word.mark, step)
        heard = PeerWord() if self.reason else self.guard.hear(sender, spoken, self.tally.voters)
        self.reason = self.reason or heard.stop
        if not heard.counts:
            return [Send(sender, heard.answer)] if heard.answer is not None else []
        if self.guard.is_early(sender, step, word):
            return [*self.agreement.behind(sender, word.mark.height, now, moment)]
        if isinstance(said, WholeState):
            return self._perhaps_install(sender, word, now, moment)
        return self._compared(self._step(sender, said, now, moment))

    def _step(self, sender: VoterId, step: Step, now: Seconds, moment: Micros) -> list[Kept]:
        match step:
            case Beat():
                self.reason = self.reason or self.guard.doubt(sender, step)
                return [*self.agreement.behind(sender, step.height, now, moment)]
            case Recall():
                memory = self.guard.memory_of(sender)
                return [Send(sender, memory)] if memory is not None else []
            case Recalled():
                self.reason = self.reason or self.guard.doubt(sender, step)
                if self.reason:
                    return []
                adopted = self.agreement.adopt(step.votes, now, moment)
                self.guard.boots.recalled(sender, step.echo)
                self._confirm(now)
                return [*adopted]
            case Prepare() | Accept() if self.machine.listens:
                return []
        return [*self.agreement.receive(sender, step, now, moment)]

    def _confirm(self, now: Seconds) -> None:
        waits = self._born is None or now - self._born < PATIENCE
        if self.guard.boots.may_vote(self.tally.voters, waits=waits):
            self.machine.listens = False

    def _compared(self, effects: list[Kept]) -> list[Kept]:
        self.slipped = self.slipped or self.machine.slipped
        marks = self.machine.marks
        self.past |= {mark.height: mark for mark in marks}
        self.reason = self.reason or self.guard.reached(marks, self.tally.voters)
        marks.clear()
        return effects

    def _perhaps_install(
        self, sender: VoterId, word: SpokenWord, now: Seconds, moment: Micros
    ) -> list[Kept]:
        """Take a snapshot, unless it leads past the own height with another head."""
        whole, height = cast("WholeState", word.said), self.agreement.height
        if not self.guard.heads.leads_here(sender, word.past, height):
            self.reason = self.reason or self.guard.outvoted(self.tally.voters)
            return []
        effects = self.install(whole, now, moment)
        if effects:
            self.past = {mark.height: mark for mark in word.past if mark.height <= whole.slot}
            self.guard.heads.begin(self.past.values())
        return effects

    def install(self, whole: WholeState, now: Seconds, moment: Micros) -> list[Kept]:
        """See SimulatedNode."""
        listens = self.machine.listens
        effects = SimulatedNode.install(self, whole, now, moment)
        if effects:
            self._take_up(cast("TallyMachine", self.tally))
            self.machine.listens = listens
            self.agreement.machine = self.machine
        return effects

    def _take_up(self, tally: object) -> None:
        self.tally = cast("TallyMachine", tally)
        self.machine = GuardedMachine(self.me, cast("TallyMachine", tally), self.slips)
