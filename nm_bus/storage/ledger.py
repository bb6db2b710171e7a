"""A supernode's ledger in one SQLite file: votes, log, state, outbox and feed, event by event.

What one event changes is one transaction, durable before anything of it is said. The current state
is the newest snapshot; older log and feed rows go by the rules of `retention`. Nothing is decided
here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from nm_bus.core.ledger.answers import Answers
from nm_bus.core.ledger.effects import Vote
from nm_bus.core.ledger.genesis import fingerprint
from nm_bus.core.ledger.state import StateSnapshot
from nm_bus.core.ledger.voters import voter_id
from nm_bus.errors import StorageError
from nm_bus.messages import (
    Ballot,
    Batch,
    Change,
    ChangeId,
    Echo,
    Entry,
    Mark,
    NodeId,
    Update,
    VoterId,
)
from nm_bus.project import Project
from nm_bus.storage.answers import TABLES as ANSWERS
from nm_bus.storage.answers import AnswerRows
from nm_bus.storage.log import TABLES as LOG
from nm_bus.storage.log import LogRows
from nm_bus.storage.past import TABLES as UPDATES
from nm_bus.storage.past import Kept, PastRows
from nm_bus.storage.position import Position
from nm_bus.storage.retention import old_slot
from nm_bus.storage.sqlite import SqliteFile

SCHEMA = 4
"""The version of the tables below. A file of another one is not touched."""

MAX_BYTES = 20 * 1024**3
"""How large a file may grow: more than all that it holds at their own limits, so that these are
met first. In GiB, with the half-full pages that SQLite may leave, and a page of 4 KiB that a long
row may leave nearly empty: updates 6.5 (290,000 rows, 2.7 GiB of them), outbox 3.7 (10,000 changes
of 192 KiB), state 2.0 (200,000 keys, 512 MiB of values), answers 1.1 (200,000), log 0.5
(256 MiB)."""

NEWCOMER = 0
"""The epoch of a ledger that knows nothing yet, not even how the project began."""

_FIX = "join again and take a snapshot from the others: nm-bus init --replace --config FILE"

_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (id TEXT PRIMARY KEY, change BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE acceptor (slot INTEGER PRIMARY KEY, vote BLOB NOT NULL) STRICT;
CREATE TABLE entries (key TEXT PRIMARY KEY, entry BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE peers (voter TEXT PRIMARY KEY, echo BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""

_SOME = 1_000
"""How many entries are in memory twice while a snapshot is written."""

_encode = msgspec.json.encode


class LedgerIdentity(msgspec.Struct, frozen=True):
    """Whose ledger it is. `file` is the identity of the project file that it began with (empty: a
    newcomer's, until its first snapshot), and
    `boot` and `nonce` those of its last start."""

    project: str
    node: NodeId
    incarnation: str
    epoch: int
    file: str
    boot: int = 0
    nonce: str = ""

    @property
    def voter(self) -> VoterId:
        """Who this supernode is to the others."""
        return voter_id(self.node, self.incarnation)

    @property
    def beginning(self) -> str:
        """The fingerprint of that project file; empty while it is not known."""
        return fingerprint(self.file)


class SqliteLedger:
    """A ledger's file, by `open_ledger` or `create_ledger`; every method raises StorageError."""

    def __init__(self, file: SqliteFile) -> None:
        self._file, self.path = file, file.path
        self.answers = AnswerRows(file)
        self.identity: LedgerIdentity = self._about("identity", LedgerIdentity)
        self.position: Position = self._about("position", Position)
        self.base: Mark = self._about("base", Mark)
        """How far the snapshot was that it began with, or the project file."""
        self.published: int = self._about("published", int)
        """Up to which revision the feed was published."""
        self.wanted: int | None = None
        """The slot of a snapshot that somebody fetches, and will go on from."""
        self._log = LogRows(file)
        self.past = PastRows(file)

    def project(self) -> Project | None:
        """The project file that it began with; None for a newcomer's."""
        found: Project | None = self._about("project", Project | None)
        return found

    def transaction(self) -> AbstractContextManager[None]:
        """One event: all of it, or nothing."""
        return self._file.transaction()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    # --- what is taken up at a start

    def started(self, nonce: str) -> None:
        """Begin another life, before its first word."""
        self.keep_identity(
            msgspec.structs.replace(self.identity, boot=self.identity.boot + 1, nonce=nonce)
        )

    def votes(self) -> dict[int, Vote]:
        """The acceptor's records above the height."""
        rows = self._file.rows("SELECT * FROM acceptor")
        return {slot: self._vote(body) for slot, body in rows}

    def outbox(self) -> dict[ChangeId, Change]:
        """The own changes that are not decided yet, in the order of their stamps."""
        rows = self._file.rows("SELECT change FROM outbox")
        found = [self._file.decoded(body, Change) for (body,) in rows]
        return {each.id: each for each in sorted(found, key=lambda each: each.timestamp)}

    def entries(self) -> Iterator[Entry]:
        """The state, in the order of its keys."""
        rows = self._file.rows("SELECT entry FROM entries ORDER BY key")
        return (self._file.decoded(body, Entry) for (body,) in rows)

    def peers(self) -> dict[VoterId, Echo]:
        """What was known of the others."""
        rows = self._file.rows("SELECT * FROM peers")
        return {who: self._file.decoded(body, Echo) for who, body in rows}

    # --- what an event changes

    def keep_identity(self, identity: LedgerIdentity) -> None:
        """Say again whose ledger it is."""
        self._set("identity", identity)
        self.identity = identity

    def keep_position(self, position: Position) -> None:
        """Move on; of the old rows some go."""
        self._set("position", position)
        before, self.position = self.position, position
        if position.height > before.height:
            self.compact()

    def keep_vote(self, slot: int, vote: Vote) -> None:
        """Keep what was promised and accepted for a slot."""
        body = _encode((vote.promised, vote.accepted, vote.batch))
        self._file.run("INSERT OR REPLACE INTO acceptor VALUES (?, ?)", (slot, body))

    def keep_change(self, change: Change) -> None:
        """Take an own change into the outbox."""
        self._file.run("INSERT OR REPLACE INTO outbox VALUES (?, ?)", (change.id, _encode(change)))

    def keep_batch(self, mark: Mark, batch: Batch) -> None:
        """A slot is decided, and that is how far the ledger is with it: its changes wait no more,
        and votes up to it are needed no more."""
        self._log.keep(mark, batch)
        self._file.run("DELETE FROM acceptor WHERE slot <= ?", (mark.height,))
        self._decided(change.id for change in batch.changes)

    def keep_entries(self, entries: Mapping[str, Entry | None]) -> None:
        """Change the state; None: the key is gone."""
        gone = [(key,) for key, entry in entries.items() if entry is None]
        kept = [(key, _encode(entry)) for key, entry in entries.items() if entry is not None]
        self._file.run_many("DELETE FROM entries WHERE key = ?", gone)
        self._file.run_many("INSERT OR REPLACE INTO entries VALUES (?, ?)", kept)

    def keep_updates(self, updates: Sequence[Kept]) -> None:
        """Take the next revisions, each with the keys that it touched."""
        self.past.keep(updates)

    def keep_update(self, update: Update, keys: Iterable[str]) -> None:
        """Take the next revision; `keys` are those that it touched."""
        self.past.keep([(update, keys)])

    def keep_since(self, since: Mapping[str, int]) -> None:
        """These groups of feeds are whole after these revisions; 0: from the beginning on."""
        kept = {**self.position.kept_from, **since}
        kept = {group: revision for group, revision in kept.items() if revision}
        self.position = msgspec.structs.replace(self.position, kept_from=kept)
        self._set("position", self.position)

    def keep_peers(self, peers: Mapping[VoterId, Echo]) -> None:
        """Keep what is known of some of the others."""
        rows = [(voter, _encode(echo)) for voter, echo in peers.items()]
        self._file.run_many("INSERT OR REPLACE INTO peers VALUES (?, ?)", rows)

    def keep_base(self, mark: Mark) -> None:
        """It begins again, with a snapshot that is this far."""
        self._set("base", mark)
        self.base = mark

    def keep_published(self, revision: int) -> None:
        """The feed was published up to this revision."""
        self._set("published", revision)
        self.published = revision

    def replace_state(self, snapshot: StateSnapshot) -> None:
        """Put a snapshot in place of the state, and of log and feed, which it leaves a gap in."""
        for table in ("entries", "askers", "answers"):
            self._file.run(f"DELETE FROM {table}")
        self._log.clear()
        self.past.clear()
        self.past.keep_places(snapshot.feeds)
        for at in range(0, len(snapshot.entries), _SOME):
            some = snapshot.entries[at : at + _SOME]
            self.keep_entries({entry.key: entry for entry in some})
        held = {(one.principal, one.incarnation): list(one.answers) for one in snapshot.answers}
        self.answers.keep(Answers(snapshot.answers, snapshot.floor), held)

    def forget_slots(self) -> None:
        """What was decided and voted before counts no more: another epoch begins."""
        self._log.clear()
        self._file.run("DELETE FROM acceptor")

    def forget_before(self, slot: int, changes: Iterable[ChangeId]) -> None:
        """A snapshot after this slot has these own changes decided."""
        self._file.run("DELETE FROM acceptor WHERE slot <= ?", (slot,))
        self._decided(changes)

    # --- what is read

    def batches(self, slot: int) -> tuple[Batch, ...] | None:
        """What was decided from a slot on, a page of it; None when that is gone from the log."""
        found = self._log.batches(slot)
        return None if not found and slot <= self.position.height else found

    def marks(self, slot: int, limit: int) -> list[Mark]:
        """How far it was at each slot of the log from this one on, as many as that; and at its last
        one, also when that is not in the log."""
        base, at = self.base, self.position
        found = [base] if base.height >= slot else []
        found += self._log.marks(max(slot, base.height + 1), limit)
        is_last = slot <= at.height and (not found or found[-1].height < at.height)
        here = [Mark(at.height, at.revision, at.head)] if is_last else []
        return [*found, *here][:limit]

    def goes_on_after(self, slot: int) -> bool:
        """Whether the log has what was decided after a slot, if anything was."""
        following = self._log.marks(slot + 1, 1)
        goes_on = bool(following) and following[0].height == slot + 1
        return goes_on or slot == self.position.height

    def mark_at(self, claim: Mark) -> Mark | None:
        """How far it was at the revision that somebody claims, if the feed has that."""
        update = self.update(claim.revision)
        return Mark(claim.height, update.revision, update.head) if update else None

    def update(self, revision: int) -> Update | None:
        """One revision, if it is kept."""
        return self.past.update(revision)

    def updates(
        self, since: int, limit: int, key: str = "", *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions after `since`, of one key or of all, oldest first."""
        return self.past.after(since, limit, key, without_locks=without_locks)

    def history(
        self, key: str, before: int, limit: int, *, without_locks: bool = False
    ) -> list[Update]:
        """The revisions before `before` (0: all), of one key or (empty) of all, newest first."""
        before = before or self.position.revision + 1
        return self.past.before(before, limit, key, without_locks=without_locks)

    # --- what goes

    def compact(self) -> None:
        """Drop some of the log and the feed that are older than they are kept."""
        with self.transaction():
            self._log.sweep(old_slot(self.position.height, self.wanted))
            gone = self.past.sweep(self.position.time)
            if gone:
                self.keep_since(gone)

    # --- small things

    def _vote(self, body: bytes) -> Vote:
        return Vote(*self._file.decoded(body, tuple[Ballot, Ballot | None, Batch | None]))

    def _decided(self, changes: Iterable[ChangeId]) -> None:
        self._file.run_many("DELETE FROM outbox WHERE id = ?", [(id,) for id in changes])

    def _about(self, name: str, kind: Any) -> Any:
        found = self._file.rows("SELECT value FROM about WHERE name = ?", (name,))
        if not found:
            raise StorageError(f"{self.path}: the file is not whole ({name} is missing); {_FIX}")
        return self._file.decoded(found[0][0], kind)

    def _set(self, name: str, value: object) -> None:
        self._file.run("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, _encode(value)))


def open_ledger(path: Path, *, max_bytes: int = MAX_BYTES) -> SqliteLedger:
    """Open a ledger that was made before; its integrity is checked. Raises StorageError."""
    if not path.exists():
        raise StorageError(f"{path}: there is no ledger; make one: nm-bus init")
    if not path.is_file():
        raise StorageError(f"{path}: it is no file; {_FIX}")
    file = SqliteFile(path, max_bytes=max_bytes, fix=_FIX)
    try:
        ((found,),) = file.rows("PRAGMA user_version")
        if found > SCHEMA:
            raise StorageError(
                f"{file.path}: it was written by a later version of nm-bus (tables {found}, known"
                f" {SCHEMA}); upgrade"
            )
        if found != SCHEMA:
            what = f"is of an earlier version of nm-bus (tables {found}, known {SCHEMA})"
            raise StorageError(f"{file.path}: it {what if found else 'holds no ledger'}; {_FIX}")
        return SqliteLedger(file)
    except BaseException:
        file.close()
        raise


def create_ledger(
    path: Path,
    identity: LedgerIdentity,
    position: Position,
    entries: Iterable[Entry] = (),
    *,
    project: Project | None = None,
    outbox: Iterable[Change] = (),
    max_bytes: int = MAX_BYTES,
) -> SqliteLedger:
    """Make a ledger as it is at its beginning, whole or not at all. Raises StorageError.

    `project` is the file that it begins with, kept to say later what differs; None: a newcomer's.
    `outbox` has changes that were accepted before, and are still to be decided.
    """
    if path.exists():
        raise StorageError(f"{path}: there is a ledger already")
    about: dict[str, object] = {"identity": identity, "position": position, "published": 0}
    about["project"] = project
    about["base"] = Mark(position.height, position.revision, position.head)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    file = SqliteFile(unfinished, max_bytes=max_bytes, fix=_FIX)
    try:
        with file.transaction():
            _make(file, about)
            made = SqliteLedger(file)
            made.keep_entries({entry.key: entry for entry in entries})
            for change in outbox:
                made.keep_change(change)
    finally:
        file.close()
    unfinished.rename(path)
    return open_ledger(path, max_bytes=max_bytes)


def _make(file: SqliteFile, about: dict[str, object]) -> None:
    for statement in filter(str.strip, (_TABLES + LOG + ANSWERS + UPDATES).split(";")):
        file.run(statement)
    for name, value in about.items():
        file.run("INSERT INTO about VALUES (?, ?)", (name, _encode(value)))
    file.run(f"PRAGMA user_version = {SCHEMA}")
