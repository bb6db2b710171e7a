"""How a supernode's ledger comes to be: from the project file, or again as somebody else.

The file is never made silently, and never written over: what is there is told, or put aside.
"""

import logging
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from nm_agents.folder import own_folder
from nm_agents.supernode.ledger.composing import FILE
from nm_bus.core.ledger.applying import READ
from nm_bus.core.ledger.genesis import INCARNATION, genesis
from nm_bus.errors import ConfigError, StorageError
from nm_bus.messages import Change
from nm_bus.project import Project, identity
from nm_bus.settings import SupernodeSettings
from nm_bus.storage.ledger import NEWCOMER, LedgerIdentity, create_ledger, open_ledger
from nm_bus.storage.position import Position

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A ledger that is there. `new` is false when it was; `aside` is where an earlier one went."""

    path: Path
    node: str
    incarnation: str
    new: bool
    aside: Path | None = None
    carried: int = 0
    """How many changes that the earlier one had accepted are offered again by the new one."""
    beginning: str = ""
    """The fingerprint of the project file that it began with; empty when it is not known yet."""


def begin(
    settings: SupernodeSettings, project: Project, source: Path, *, replace: bool = False
) -> Made:
    """Make a supernode's ledger from a project file; harmless when that was done before.

    With `replace`, one that began with another project file is put aside, and what it had accepted
    is taken over: nothing that it agreed on counts for the others. Raises ConfigError when `source`
    does not name this supernode, when a ledger is there that began otherwise, with what differs,
    and when the folder is in use.
    """
    if project.project != settings.project:
        what = f"is for the project {project.project}, and this supernode is in {settings.project}"
        raise ConfigError(source, what, "take the file of this project")
    if settings.node not in {one.node for one in project.supernodes}:
        what = f"does not name {settings.node} among the supernodes"
        raise ConfigError(source, what, "name it, or join a running project: --replace")
    path = settings.folder / FILE
    with own_folder(settings.folder):
        aside, carried = None, list[Change]()
        if path.exists():
            if not (replace and _began_otherwise(path, project)):
                return _there(path, project, source)
            carried = _undecided(path, settings)
            aside = _put_aside(path)
        state = genesis(project)
        begun = LedgerIdentity(project.project, settings.node, INCARNATION, state.epoch, state.head)
        at = Position(height=0, head=state.head)
        entries = state.entries.values()
        create_ledger(path, begun, at, entries, project=project, outbox=carried).close()
        return Made(
            path,
            settings.node,
            INCARNATION,
            new=True,
            aside=aside,
            carried=len(carried),
            beginning=begun.beginning,
        )


def begin_again(settings: SupernodeSettings) -> Made:
    """Make a ledger that knows nothing, of a supernode that nobody knows; the others' snapshot
    fills it. An earlier file is put aside; what it had accepted and nobody decided is taken over,
    as far as it can be read. One that began again and never started stays as it is: its incarnation
    may have been admitted already. Raises ConfigError when the folder is in use."""
    path, incarnation = settings.folder / FILE, uuid.uuid4().hex[:12]
    with own_folder(settings.folder):
        if (before := _untouched(path, settings)) is not None:
            return before
        carried = _undecided(path, settings) if path.exists() else []
        aside = _put_aside(path) if path.exists() else None
        newcomer = LedgerIdentity(settings.project, settings.node, incarnation, NEWCOMER, "")
        create_ledger(path, newcomer, Position(), outbox=carried).close()
    return Made(path, settings.node, incarnation, new=True, aside=aside, carried=len(carried))


def _untouched(path: Path, settings: SupernodeSettings) -> Made | None:
    """A newcomer's ledger that has had no life yet."""
    try:
        with closing(open_ledger(path)) as store:
            found = store.identity
    except StorageError:
        return None
    ours = (settings.project, settings.node, NEWCOMER, 0)
    if (found.project, found.node, found.epoch, found.boot) != ours:
        return None
    return Made(path, found.node, found.incarnation, new=False)


def at_stake(settings: SupernodeSettings) -> str:
    """What would be put aside by beginning again, in a sentence; empty when nothing is lost by it:
    there is no ledger, or none that can be read, or one that knows nothing yet."""
    path = settings.folder / FILE
    if not path.exists():
        return ""
    try:
        with closing(open_ledger(path)) as store:
            if store.identity.epoch == NEWCOMER:
                return ""
            voter, revision = store.identity.voter, store.position.revision
    except StorageError:
        return ""
    return f"The ledger of {voter}, at revision {revision}, is put aside and has a vote no more"


def _undecided(path: Path, settings: SupernodeSettings) -> list[Change]:
    """What an earlier ledger of this supernode had accepted; nothing of a file that is damaged."""
    try:
        with closing(open_ledger(path)) as store:
            is_ours = (store.identity.project, store.identity.node) == (
                settings.project,
                settings.node,
            )
            found = store.outbox().values() if is_ours else ()
            return [change for change in found if change.kind != READ]
    except (StorageError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _LOG.warning("what the earlier ledger had accepted cannot be taken over: %s", error)
        return []


def _began_otherwise(path: Path, project: Project) -> bool:
    """Whether a ledger is known to have begun with another project file."""
    with closing(open_ledger(path)) as store:
        return store.identity.file not in ("", identity(project))


def _there(path: Path, project: Project, source: Path) -> Made:
    with closing(open_ledger(path)) as store:
        found = store.identity
        begun = store.project()
    if begun is not None and found.file != identity(project):
        what = f"differs from what {path} began with: " + "; ".join(differences(begun, project))
        fix = (
            "nothing was changed; a running project is changed by nm-bus supernode and the like; if"
            " this file is right and that one was wrong, begin again: --replace --project FILE"
        )
        raise ConfigError(source, what, fix)
    return Made(path, found.node, found.incarnation, new=False, beginning=found.beginning)


def differences(before: Project, now: Project) -> Iterator[str]:
    """What two project files say differently, a few words each."""
    old, new = (dict(_facts(msgspec.to_builtins(one))) for one in (before, now))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name} was {old.get(name, 'not there')}, now {new.get(name, 'not there')}"


def _facts(project: dict[str, Any]) -> Iterator[tuple[str, object]]:
    yield "project", project["project"]
    for principal in project["administrators"]:
        yield f"administrator {principal}", "there"
    for table, key in (("supernodes", "node"), ("publishers", "principal")):
        for one in project[table]:
            told = ", ".join(f"{name} {one[name]}" for name in one if name != key)
            yield f"{table[:-1]} {one[key]}", f"({told})"


def _put_aside(path: Path) -> Path:
    """Keep an earlier ledger under a dated name, its log too: what it accepted may be wanted."""
    aside = path.with_name(f"{path.name}.old-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for ending in ("-wal", "-journal", "-shm"):
        log = path.with_name(path.name + ending)
        if log.exists():
            log.rename(aside.with_name(aside.name + ending))
    return path.rename(aside)
