"""One event of the ledger on disk: all that it brought about, in one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import structs

from nm_agents.supernode.ledger.snapshots import Whole
from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.answers import Asker, parts
from nm_bus.core.ledger.applying import Applied
from nm_bus.core.ledger.effects import Effect, KeepBatch, KeepChange, KeepVote
from nm_bus.core.ledger.state import State
from nm_bus.messages import ChangeId, Echo, Entry, Mark, Micros, Proposed, VoterId
from nm_bus.storage.ledger import SqliteLedger
from nm_bus.storage.position import Position


def is_durable(effect: Effect) -> bool:
    """Whether it changes the file."""
    return isinstance(effect, KeepVote | KeepBatch | KeepChange)


@dataclass(frozen=True, slots=True)
class Moved:
    """What one event brought about."""

    effects: Sequence[Effect]
    applied: Sequence[Applied]
    answers: Sequence[Proposed]
    marks: Sequence[Mark]
    position: Position
    peers: dict[VoterId, Echo]


def moved(before: Position, agreement: Agreement, state: State, clock: Micros) -> Position:
    """How far a ledger is now; `clock` is the last moment of its hybrid clock."""
    return structs.replace(
        before,
        height=agreement.height,
        author=agreement.author,
        time=state.time,
        revision=state.revision,
        head=state.head,
        clock=clock,
        floor=state.answers.floor,
    )


def keep(store: SqliteLedger, event: Moved, state: State) -> None:
    """Write one event down, whole or not at all; it is on disk when this returns.

    Raises StorageError: then nothing of it may be said, and the program must end.
    """
    marks = {mark.height: mark for mark in event.marks}
    with store.transaction():
        for effect in _lasting(event.effects):
            match effect:
                case KeepVote():
                    store.keep_vote(effect.slot, effect.vote)
                case KeepBatch():
                    store.keep_batch(marks[effect.slot], effect.batch)
                case KeepChange():
                    store.keep_change(effect.change)
        # the entries as they are after all of it, and each revision.
        entries: dict[str, Entry | None] = {}
        updates = [(each.update, each.entries) for each in event.applied if each.update is not None]
        for _, touched in updates:
            entries |= touched
        store.keep_entries(entries)
        store.keep_updates(updates)
        if event.answers:
            store.answers.keep(state.answers, _by_asker(event.answers))
        store.keep_peers(event.peers)
        store.keep_position(event.position)


def _lasting(effects: Sequence[Effect]) -> Iterator[Effect]:
    """All but what a slot that was decided in the same event makes needless again."""
    batches = {each.slot: each.batch for each in effects if isinstance(each, KeepBatch)}
    decided = {change.id for batch in batches.values() for change in batch.changes}
    for effect in effects:
        match effect:
            case KeepVote() if effect.slot in batches:
                pass
            case KeepChange() if effect.change.id in decided:
                pass
            case _:
                yield effect


def _by_asker(answers: Sequence[Proposed]) -> dict[Asker, list[Proposed]]:
    """What was answered to each asker, the one answered last at the end."""
    new: dict[Asker, list[Proposed]] = {}
    for answer in answers:
        asked = parts(answer.id)
        if asked is not None:
            given = new.pop(asked[0], [])
            given.append(answer)
            new[asked[0]] = given
    return new


def keep_snapshot(
    store: SqliteLedger, whole: Whole, slot: int, position: Position, decided: Iterable[ChangeId]
) -> None:
    """Put a snapshot in the state's place, in one transaction; `decided` wait here no more."""
    identity, revision = store.identity, whole.state.revision
    file = identity.file or whole.file
    with store.transaction():
        store.keep_identity(structs.replace(identity, epoch=whole.state.epoch, file=file))
        store.replace_state(whole.state)
        store.forget_before(slot, decided)
        store.keep_position(position)
        store.keep_base(Mark(slot, revision, whole.state.head))
        if store.published < revision:
            store.keep_published(revision)
