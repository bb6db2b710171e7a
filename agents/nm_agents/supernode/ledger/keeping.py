"""One event of the ledger on disk: all that it brought about, in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nm_bus.core.ledger.answers import Answered, Asker, parts
from nm_bus.core.ledger.applying import Applied
from nm_bus.core.ledger.effects import Effect, KeepBatch, KeepChange, KeepVote
from nm_bus.core.ledger.state import State
from nm_bus.messages import Echo, Proposed, VoterId
from nm_bus.storage.ledger import Position, SqliteLedger


def is_durable(effect: Effect) -> bool:
    """Whether it changes the file."""
    return isinstance(effect, KeepVote | KeepBatch | KeepChange)


@dataclass(frozen=True, slots=True)
class Moved:
    """What one event brought about."""

    effects: Sequence[Effect]
    applied: Sequence[Applied]
    answers: Sequence[Proposed]
    position: Position
    peers: dict[VoterId, Echo]


def keep(store: SqliteLedger, moved: Moved, state: State) -> None:
    """Write one event down, whole or not at all; it is on disk when this returns.

    Raises StorageError: then nothing of it may be said, and the program must end.
    """
    with store.transaction():
        for effect in moved.effects:
            match effect:
                case KeepVote():
                    store.keep_vote(effect.slot, effect.vote)
                case KeepBatch():
                    store.keep_batch(effect.slot, effect.batch)
                case KeepChange():
                    store.keep_change(effect.change)
        for each in moved.applied:
            if each.update is not None:
                store.keep_entries(each.entries)
                store.keep_update(each.update, each.entries)
        if moved.answers:
            store.answers.keep(_windows(state, moved.answers), state.answers.askers)
        store.keep_peers(moved.peers)
        store.keep_position(moved.position)


def _windows(
    state: State, answers: Sequence[Proposed]
) -> Iterator[tuple[Answered, list[Proposed]]]:
    """What is held of each asker that was answered, the one answered last at the end."""
    new: dict[Asker, list[Proposed]] = {}
    for answer in answers:
        asked = parts(answer.id)
        if asked is not None:
            new[asked[0]] = [*new.pop(asked[0], []), answer]
    for asker, given in new.items():
        window = state.answers.window(asker)
        if window is not None:
            yield window, given
