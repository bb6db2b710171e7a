"""A supernode's ledger without a supernode: the agreement, a machine, and a disk that survives.

What a crash leaves is the disk alone; the rest is made again from it. It does what the real driver
does: effects are made durable, then said.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.effects import (
    Effect,
    KeepBatch,
    KeepChange,
    KeepVote,
    Pace,
    Send,
    SendLog,
    Vote,
)
from nm_bus.core.ledger.genesis import is_same_beginning
from nm_bus.messages import (
    Batch,
    Beat,
    Change,
    ChangeId,
    Log,
    Micros,
    Seconds,
    Step,
    VoterId,
)
from nm_lab.simulate.tally import Replica


@dataclass(frozen=True, slots=True)
class WholeState:
    """A snapshot: all that is known after a slot, with voters and answers, and whose batch it was.

    It travels as itself here, where the real one goes in pages.
    """

    slot: int
    author: VoterId
    tally: Replica


Said = Step | WholeState


@dataclass(frozen=True, slots=True)
class KeepWhole:
    """Make durable: a snapshot takes the place of all up to it."""

    whole: WholeState


Kept = Effect | KeepWhole

KeptCall = Callable[[Kept], None]
"""Is told of each effect that has become durable."""


@dataclass(slots=True)
class SimulatedDisk:
    """What is durable."""

    base: WholeState
    log: dict[int, Batch] = field(default_factory=dict)
    votes: dict[int, Vote] = field(default_factory=dict)
    outbox: dict[ChangeId, Change] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """The last decided slot."""
        return self.base.slot + len(self.log)

    @property
    def author(self) -> VoterId:
        """Whose batch was decided last."""
        return self.log[self.height].author if self.log else self.base.author

    def keep(self, effect: Kept) -> None:
        """Do what an effect says must be durable."""
        match effect:
            case KeepWhole(whole):
                self._keep_whole(whole)
            case KeepVote(slot, vote):
                self.votes[slot] = vote
            case KeepChange(change):
                self.outbox[change.id] = change
            case KeepBatch(slot, batch):
                self.log[slot] = batch
                self.votes.pop(slot, None)
                for change in batch.changes:
                    self.outbox.pop(change.id, None)

    def _keep_whole(self, whole: WholeState) -> None:
        """Everything up to a snapshot is in it."""
        self.base = whole
        self.log = {n: batch for n, batch in self.log.items() if n > whole.slot}
        self.votes = {n: vote for n, vote in self.votes.items() if n > whole.slot}
        for change in [id for id in self.outbox if whole.tally.is_answered(id)]:
            del self.outbox[change]


@dataclass(slots=True)
class SimulatedNode:
    """One supernode. `snapshots` is after how many slots the log gives way to a snapshot, or 0."""

    me: VoterId
    disk: SimulatedDisk
    pace: Pace
    random: Callable[[], float]
    snapshots: int = 0
    agreement_class: type[Agreement] = Agreement
    beginnings: Mapping[VoterId, str] = field(default_factory=dict)
    """What everybody's ledger began with; who is not named has no other beginning than the rest."""
    agreement: Agreement = field(init=False)
    tally: Replica = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Live again, from the disk alone."""
        disk = self.disk
        self.tally = disk.base.tally.copy()
        for slot in sorted(disk.log):
            self.tally.apply(slot, disk.log[slot])
        self.tally.told.clear()
        self.agreement = self.agreement_class(
            self.me,
            self.tally,
            self.pace,
            self.random,
            height=disk.height,
            author=disk.author,
            votes=self.votes_on_disk(),
            outbox=dict(disk.outbox),
        )

    def votes_on_disk(self) -> dict[int, Vote]:
        """The votes as a start finds them."""
        return dict(self.disk.votes)

    def offer(self, change: Change, now: Seconds, moment: Micros) -> list[Kept]:
        """Take an own change."""
        return [*self.agreement.offer(change, now, moment)]

    def tick(self, now: Seconds, moment: Micros) -> list[Kept]:
        """Let time pass."""
        return [*self.agreement.tick(now, moment)]

    def wrapped(self, said: Said) -> Said:
        """A message as it travels."""
        return said

    def regular(self, others: Iterable[VoterId]) -> list[tuple[VoterId, Said]]:
        """What it says now and then, to whom."""
        beat = Beat(self.agreement.height)
        return [(other, beat) for other in others]

    def due(self) -> list[tuple[VoterId, Said]]:
        """What came too early and is to be taken now, each as an event of its own."""
        return []

    def take(self, sender: VoterId, said: Said, now: Seconds, moment: Micros) -> list[Kept]:
        """Take what another one said, unless its ledger began otherwise."""
        if not self.hears(sender):
            return []
        if isinstance(said, WholeState):
            return self.install(said, now, moment)
        if isinstance(said, Beat):
            return [*self.agreement.behind(sender, said.height, now, moment)]
        return [*self.agreement.receive(sender, said, now, moment)]

    def hears(self, sender: VoterId) -> bool:
        """Whether what another one says counts here."""
        ours, theirs = (self.beginnings.get(who, "") for who in (self.me, sender))
        return is_same_beginning(ours, theirs)

    def install(self, whole: WholeState, now: Seconds, moment: Micros) -> list[Kept]:
        """Take a snapshot that is ahead."""
        if whole.slot <= self.agreement.height:
            return []
        self.tally = self.agreement.machine = whole.tally.copy()
        self.agreement.installed(whole.slot, whole.author)
        return [KeepWhole(whole), *self.agreement.tick(now, moment)]

    def persist(self, effects: Iterable[Kept], kept: KeptCall) -> None:
        """Make durable what must be, telling of each, and let a snapshot take the log's place."""
        for effect in effects:
            self.disk.keep(effect)
            kept(effect)
        if self.snapshots and len(self.disk.log) >= self.snapshots:
            self.disk.keep(KeepWhole(self.snapshot()))

    def snapshot(self) -> WholeState:
        """All that is decided, as the disk has it."""
        return WholeState(self.disk.height, self.disk.author, self.tally.copy())

    def messages(self, effects: Iterable[Kept]) -> list[tuple[VoterId, Said]]:
        """What is to be said now that it is durable."""
        said: list[tuple[VoterId, Said]] = []
        for effect in effects:
            if isinstance(effect, Send):
                said.append((effect.to, effect.step))
            elif isinstance(effect, SendLog):
                said += [(effect.to, part) for part in self._since(effect.slot)]
        return said

    def _since(self, slot: int) -> list[Said]:
        """What was decided from a slot on."""
        disk, parts = self.disk, list[Said]()
        if slot <= disk.base.slot:
            parts.append(disk.base)
        first = max(slot, disk.base.slot + 1)
        if batches := tuple(disk.log[n] for n in range(first, disk.height + 1)):
            parts.append(Log(first, batches, disk.height))
        return parts
