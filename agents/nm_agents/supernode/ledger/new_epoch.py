"""A supernode's ledger begins a new epoch, while its program is stopped.

For the day on which a majority of voters is lost for good: then nothing is agreed any more, and
one survivor goes on alone. What the lost ones alone had agreed on is lost with them.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nm_agents.folder import own_folder
from nm_agents.supernode.ledger.composing import FILE, check_owner, state_of
from nm_bus.core.ledger.applying import Applied
from nm_bus.core.ledger.epochs import begin, beginning, why_not
from nm_bus.core.ledger.state import State
from nm_bus.errors import ConfigError
from nm_bus.messages import Change, Micros, VoterId
from nm_bus.settings import SupernodeSettings
from nm_bus.storage.ledger import NEWCOMER, SqliteLedger, open_ledger


@dataclass(frozen=True, slots=True)
class Survivor:
    """How far a survivor's ledger is. `others` are the supernodes that an epoch begins without,
    `waiting` is how many changes it has accepted or voted for that are not decided yet."""

    path: Path
    voter: VoterId
    epoch: int
    revision: int
    head: str
    height: int
    time: Micros
    others: tuple[VoterId, ...]
    waiting: int


def survey(settings: SupernodeSettings) -> Survivor:
    """Look, and change nothing. Raises ConfigError when no epoch can begin with this file, and
    when the supernode runs."""
    with _opened(settings) as (store, state):
        return _survivor(store, state)


def renew(
    settings: SupernodeSettings, *, by: str, moment: Micros, sign: Callable[[Change], Change]
) -> tuple[Survivor, Survivor]:
    """Begin a new epoch in one transaction; gives how the ledger was, and how it is.

    Raises ConfigError as `survey` does, StorageError when it cannot be written.
    """
    with _opened(settings) as (store, state):
        before = _survivor(store, state)
        waiting = _voted_for(store, state)
        applied = begin(state, sign(beginning(state, before.voter, by, moment)))
        with store.transaction():
            _keep(store, state, applied, waiting)
        return before, _survivor(store, state)


@contextmanager
def _opened(settings: SupernodeSettings) -> Iterator[tuple[SqliteLedger, State]]:
    path = settings.folder / FILE
    if not path.exists():
        raise ConfigError(path, "is not there", "a new epoch begins with a survivor's ledger")
    with own_folder(settings.folder), closing(open_ledger(path)) as store:
        check_owner(store, settings)
        if store.identity.epoch == NEWCOMER:
            raise ConfigError(path, "is a newcomer's and knows nothing", "take another survivor's")
        state = state_of(store)
        if wrong := why_not(state, store.identity.voter):
            raise ConfigError(path, wrong, "take another survivor's")
        yield store, state


def _survivor(store: SqliteLedger, state: State) -> Survivor:
    voter = store.identity.voter
    return Survivor(
        store.path,
        voter,
        state.epoch,
        state.revision,
        state.head,
        store.position.height,
        state.time,
        tuple(sorted((state.voters | state.standbys) - {voter})),
        len({*store.outbox(), *(change.id for change in _voted_for(store, state))}),
    )


def _voted_for(store: SqliteLedger, state: State) -> list[Change]:
    """The changes that this supernode voted for: the lost ones may have agreed on them."""
    batches = [vote.batch for vote in store.votes().values() if vote.batch is not None]
    changes = {change.id: change for batch in batches for change in batch.changes}
    return [change for id, change in changes.items() if state.answer(id) is None]


def _keep(store: SqliteLedger, state: State, applied: Applied, waiting: list[Change]) -> None:
    store.keep_identity(msgspec.structs.replace(store.identity, epoch=state.epoch))
    store.forget_slots()
    for change in waiting:
        store.keep_change(change)
    store.keep_entries(applied.entries)
    if applied.update is not None:
        store.keep_update(applied.update, applied.entries)
    store.keep_position(
        msgspec.structs.replace(
            store.position,
            height=store.position.height + 1,
            author=store.identity.voter,
            time=state.time,
            revision=state.revision,
            head=state.head,
            clock=max(store.position.clock, state.time),
        )
    )
