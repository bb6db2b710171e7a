"""One look at a folder and the ledger, and what follows: proposals, deletions, reasons.

What is decided is decided in `nm_bus.core.publishing`; here files are read and the ledger is asked.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nm_agents.publishing import scanning
from nm_agents.publishing.inhand import FILE as IN_HAND
from nm_agents.publishing.inhand import FileInHand
from nm_agents.publishing.memory import PublishingMemory
from nm_agents.publishing.scanning import Found, Signature, reason_path
from nm_agents.publishing.told import FileEvent, Happened
from nm_bus.checking.checker import NoCheckError
from nm_bus.core.ledger.history import diff
from nm_bus.core.publishing import (
    DELETED,
    Action,
    Agree,
    Base,
    Delete,
    Folder,
    Forget,
    HeldDocument,
    Put,
    Refuse,
    decide,
    to_ask,
)
from nm_bus.core.settling import Rest
from nm_bus.documents import MOST_BYTES, Document, content_of, named, why_not
from nm_bus.errors import RefusedError, UndecidedError
from nm_bus.messages import Entry, Proposed, Seconds

# --- Why documents were refused: told once, and kept in a file beside each until it is well.


@dataclass
class Reasons:
    """What is refused, by key. Without `writes`, it is only told."""

    root: Path
    tell: Callable[[Happened], None]
    writes: bool
    refused: dict[str, str] = field(default_factory=dict)

    def show(self, found: Found, refused: dict[str, str]) -> None:
        """From now on this is refused, and nothing else."""
        for key, reason in refused.items():
            if self.refused.get(key) != reason:
                self.tell(Happened(FileEvent.REFUSED, key, reason))
        for key in sorted(self.refused.keys() - refused.keys()):
            self.tell(Happened(FileEvent.WELL, key))
        if self.writes:
            self._write(found, refused)
        self.refused = refused

    def _write(self, found: Found, refused: dict[str, str]) -> None:
        # a name too long for a reason file, or a folder that may not be written: it was told
        for key, reason in refused.items():
            if key not in found.reasons or self.refused.get(key) != reason:
                with suppress(OSError):
                    reason_path(self.root, key).write_text(f"{reason}\n")
        for key in found.reasons - refused.keys():
            with suppress(OSError):
                reason_path(self.root, key).unlink(missing_ok=True)


FOLDER = "a folder is where the file was: its document stays in the ledger; remove the folder"


class LedgerAccess(Protocol):
    """What is asked of the ledger; `nm_bus.client.Client` is the real one."""

    def get(self, key: str) -> Entry | None:
        """The entry of a key."""

    def put(
        self,
        component: str,
        name: str,
        content: str | bytes,
        *,
        if_revision: int | None = None,
        force: bool = False,
    ) -> Proposed:
        """Publish a version of a document; see `Client.put`."""

    def delete(self, key: str, *, if_revision: int | None = None) -> Proposed:
        """Delete an entry; see `Client.delete`."""

    def close(self) -> None:
        """Leave the supernode; it is gone to again when it is needed."""


class WhyNot(Protocol):
    """Says why a document may not be proposed; `Client.why_not` does so under limits."""

    def __call__(self, document: Document, *, forced: bool = False) -> str: ...


@dataclass
class FolderPublisher:
    """Publishes a folder, one look after the other. A dry one changes nothing, and tells.

    `force` lets through what looks like a secret; `allow_empty` lets a vanished folder delete.
    """

    root: Path
    ledger: LedgerAccess
    memory: PublishingMemory
    rest: Rest
    clock: Callable[[], Seconds]
    tell: Callable[[Happened], None]
    dry: bool = False
    force: bool = False
    allow_empty: bool = False
    why_not: WhyNot = why_not
    undecided: set[str] = field(default_factory=set)
    """What was asked for and was neither agreed nor refused so far."""
    _digests: dict[str, tuple[Signature, str]] = field(default_factory=dict)
    _tried: dict[str, tuple[str, int]] = field(default_factory=dict)
    """The content that did not become agreed, and the revision it was to follow."""

    def __post_init__(self) -> None:
        self.in_hand = FileInHand(None if self.dry else self.root / IN_HAND)
        self.reasons = Reasons(self.root, self.tell, writes=not self.dry)

    def rests(self) -> bool:
        """Whether every file rests. Raises OSError when the folder cannot be read."""
        return not self._folder(scanning.scan(self.root))[1]

    def look(self, *, everything: bool) -> bool:
        """Look once, and do what follows; tells whether a file there does not rest yet.

        `everything`: ask the ledger even for what did not change here, and try again what was
        refused. Raises OSError when the folder cannot be read, StorageError when it cannot be
        written, ConnectionLostError and TimedOutError when nobody answers.
        """
        if everything:
            # what changed without a trace in its status is found by its content
            self._tried.clear()
            self._digests.clear()
        found = scanning.scan(self.root)
        folder, still_changing = self._folder(found)
        keys = to_ask(folder, self.memory.documents) | (
            self.reasons.refused.keys() & folder.documents
        )
        if everything:
            keys |= folder.documents.keys() | self.memory.documents.keys()
        held, refused = self._asked_for(keys - folder.unsure)
        actions = decide(folder, held, self.memory.documents, allow_empty=self.allow_empty)
        refused |= found.flaws
        for action in actions:
            refused |= self._done(action)
        kept = {k: why for k, why in self.reasons.refused.items() if k in folder.unsure}
        self.reasons.show(found, kept | refused)
        self.memory.save()
        return still_changing

    def _asked_for(self, keys: set[str]) -> tuple[dict[str, HeldDocument | None], dict[str, str]]:
        """What the ledger has under these keys; and why it does not say, by key."""
        held, refused = {}, {}
        for key in sorted(keys):
            try:
                held[key] = _held(self.ledger.get(key))
            except RefusedError as error:
                refused[key] = str(error)
        return held, refused

    # --- the folder

    def _folder(self, found: Found) -> tuple[Folder, bool]:
        known = dict.fromkeys(self.memory.documents) | found.files
        restless = self.rest.restless(known, self.clock())
        documents, unready = {}, set()
        for key, signature in found.files.items():
            digest = "" if key in restless else self._digest(key, signature, found)
            if digest:
                documents[key] = digest
            else:
                unready.add(key)
        self._digests = {k: d for k, d in self._digests.items() if k in found.files}
        unread = {k for k in known if k.startswith(tuple(found.unread))}
        for key in self.memory.documents.keys() & found.folders:
            found.flaws[key] = FOLDER
        flawed = found.flaws.keys() & known.keys()
        unsure = restless | unready | unread | flawed
        leaving = restless - found.files.keys()
        folder = Folder(documents, frozenset(found.components), frozenset(unsure), leaving)
        return folder, bool(restless)

    def _digest(self, key: str, signature: Signature, found: Found) -> str:
        before = self._digests.get(key)
        if before is not None and before[0] == signature:
            return before[1]
        try:
            digest = _sha256(self._content(key))
        except FileNotFoundError:
            return ""
        except OSError as error:
            found.flaws[key] = f"cannot be read: {error.strerror}"
            return ""
        self._digests[key] = (signature, digest)
        return digest

    def _content(self, key: str) -> bytes:
        """One byte more than is allowed, so that it is noticed."""
        return scanning.read(scanning.path_of(self.root, key), MOST_BYTES + 1)

    # --- what follows

    def _done(self, action: Action) -> dict[str, str]:
        """Do it; gives the reason when it comes to nothing."""
        match action:
            case Agree(key, base):
                self.memory.documents[key] = base
                self.undecided.discard(key)
            case Forget(key):
                del self.memory.documents[key]
                self.undecided.discard(key)
            case Refuse(key, reason):
                return {key: reason}
            case Put():
                return self._put(action)
            case Delete():
                return self._delete(action)
        return {}

    def _put(self, put: Put) -> dict[str, str]:
        if self._tried.get(put.key) == (put.digest, put.expected):
            return self._still(put.key)
        try:
            content = self._content(put.key)
        except FileNotFoundError:
            return {}
        except OSError as error:
            return {put.key: f"cannot be read: {error.strerror}"}
        return self._put_content(put, content) if _sha256(content) == put.digest else {}

    def _put_content(self, put: Put, content: bytes) -> dict[str, str]:
        entry = self.ledger.get(put.key)
        schema = str(entry.value.get("schema", "")) if entry else ""
        document = Document(*named(put.key), content, schema)
        with self.in_hand.holding(put.key, put.digest) as set_aside:
            reason = set_aside or self._flaw(document)
        if reason:
            return {put.key: reason}
        if self.dry:
            lines = diff(_content(entry), content, ("ledger", "folder"))
            self.tell(Happened(FileEvent.WOULD_PUT, put.key, lines=tuple(lines)))
            return {}
        self._remember_asking(put.key, put.digest)

        def ask() -> Proposed:
            component, name = named(put.key)
            return self.ledger.put(
                component, name, content, if_revision=put.expected, force=self.force
            )

        return self._asked(put.key, FileEvent.PUT, (put.digest, put.expected), ask)

    def _flaw(self, document: Document) -> str:
        """Why a document may not be proposed. What could not be checked is looked at again."""
        try:
            return self.why_not(document, forced=self.force)
        except NoCheckError as error:
            return f"was not checked, and will be at the next look: {error}"

    def _delete(self, delete: Delete) -> dict[str, str]:
        if delete.moved_to and not self._is_agreed(delete.moved_to):
            return {}
        if self._tried.get(delete.key) == (DELETED, delete.expected):
            return self._still(delete.key)
        if self.dry:
            self.tell(Happened(FileEvent.WOULD_DELETE, delete.key))
            return {}
        self._remember_asking(delete.key, DELETED)

        def ask() -> Proposed:
            return self.ledger.delete(delete.key, if_revision=delete.expected)

        return self._asked(delete.key, FileEvent.DELETED, (DELETED, delete.expected), ask)

    def _is_agreed(self, key: str) -> bool:
        """Whether the folder's document is the ledger's; a dry run shows what would follow."""
        base, known = self.memory.documents.get(key), self._digests.get(key)
        return self.dry or (base is not None and known is not None and base.digest == known[1])

    def _remember_asking(self, key: str, digest: str) -> None:
        """Durable before it is asked: an answer that is lost must not look like another's work."""
        base = self.memory.documents.get(key, Base())
        self.memory.documents[key] = base.asking(digest)
        self.memory.save()

    def _asked(
        self, key: str, what: FileEvent, tried: tuple[str, int], ask: Callable[[], Proposed]
    ) -> dict[str, str]:
        try:
            proposed = ask()
        except UndecidedError as error:
            self._tried[key] = tried
            self.undecided.add(key)
            what = FileEvent.ACCEPTED if error.accepted_by else FileEvent.UNKNOWN
            self.tell(Happened(what, key, str(error)))
            return {}
        except RefusedError as error:
            self._tried[key] = tried
            self.undecided.discard(key)
            return {key: str(error)}
        self.undecided.discard(key)
        if what is FileEvent.DELETED:
            del self.memory.documents[key]
        else:
            self.memory.documents[key] = Base(proposed.revision, tried[0])
        self.tell(Happened(what, key, f"agreed at revision {proposed.revision}", proposed.revision))
        return {}

    def _still(self, key: str) -> dict[str, str]:
        """Refused before, and nothing changed since; what was only accepted has no reason."""
        return {key: self.reasons.refused[key]} if key in self.reasons.refused else {}


def _held(entry: Entry | None) -> HeldDocument | None:
    if entry is None:
        return None
    return HeldDocument(entry.revision, _sha256(_content(entry) or b""), entry.actor)


def _content(entry: Entry | None) -> bytes | None:
    if entry is None:
        return None
    try:
        return content_of(entry.value)
    except ValueError:
        return b""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
