"""The documents of one host: which of the ledger's keys it keeps, and that its files are so.

Changes are gathered and then made at once, so that of many versions only the last is written. What
goes wrong with a document is a trouble of that document: told, kept, and never in others' way.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from nm_agents.member.documentfolder import DocumentFolder, folder_of
from nm_agents.member.followed import Followed, WrittenDocument
from nm_bus.core.ledger.keys import feed_of, feed_of_component
from nm_bus.documents.document import content_of
from nm_bus.documents.names import PREFIX, named
from nm_bus.settings import DocumentsSettings

LOGGER = logging.getLogger(__name__)

NOTHING = WrittenDocument(0, "")
"""Stands for a document that was never written."""

HOOK_ATTEMPTS = 2
"""How often a hook is begun for one revision, when the agent ends before the hook does: a hook may
restart the agent, whose own settings may be a document."""

REASON_LENGTH = 300
"""How much of a reason is kept, in characters."""


@dataclass(frozen=True, slots=True)
class KeptComponent:
    """A component's documents on this host: their settings and their folder."""

    settings: DocumentsSettings
    folder: DocumentFolder

    def wants(self, component: str, name: str) -> bool:
        """Whether a document belongs here."""
        return component == self.settings.component and any(
            fnmatchcase(name, pattern) for pattern in self.settings.names
        )


@dataclass(frozen=True, slots=True)
class Changed:
    """A document that is another now, or is no more."""

    kept: KeptComponent
    key: str
    name: str
    revision: int

    @property
    def path(self) -> Path:
        """The file."""
        return self.kept.folder.path_of(self.name)


@dataclass(slots=True)
class Documents:
    """Brings the files of this host to what the ledger says; `followed` keeps what was done.

    `turns` grows whenever a document's revision or a trouble is another.
    """

    kept: tuple[KeptComponent, ...]
    followed: Followed
    changed: Callable[[Changed], None]
    turns: int = 0
    _due: dict[str, tuple[int, dict[str, Any] | None]] = field(default_factory=dict)
    _named: dict[str, set[str]] = field(default_factory=dict)
    """By feed, what the pages of a snapshot under way have named."""

    def begin(self) -> bool:
        """Take up what an earlier life left; False when all documents must be fetched again."""
        followed, settings = self.followed, fingerprint(self.kept)
        is_complete = settings == followed.settings and not followed.owed and self._are_there()
        followed.settings = settings
        known = {key: held for key, held in followed.documents.items() if self._home(key)}
        followed.documents = known
        followed.troubles = {k: why for k, why in followed.troubles.items() if self._home(k)}
        followed.owed = {key for key in followed.owed if self._home(key)}
        for key, revision in list(followed.unhooked.items()):
            if followed.attempts.get(key, 0) < HOOK_ATTEMPTS:
                self._tell(key, revision)
            else:
                why = f"the agent ended {HOOK_ATTEMPTS} times while the hook of revision"
                self.hooked(key, revision, f"{why} {revision} ran; it is not run again")
        return is_complete

    def say(self, key: str, value: dict[str, Any] | None, revision: int) -> None:
        """A key has this value from that revision on; None: it is deleted."""
        held = self.followed.documents.get(key, NOTHING)
        newest = max(held.revision, self._due[key][0] if key in self._due else 0)
        if self._home(key) and newest <= revision:
            self._due[key] = revision, value

    def name(self, feed: str, keys: set[str], *, first: bool, last: bool) -> None:
        """A page of a feed's snapshot named these keys; what none of its pages named is gone."""
        before = set() if first else self._named.get(feed, set())
        self._named[feed] = before | {key for key in keys if self._home(key)}
        if last:
            known = self.followed.documents.keys() | self.followed.troubles.keys()
            for key in known - self._named.pop(feed):
                if feed_of(key) == feed:
                    self._gone(key)

    def settle(self) -> None:
        """Make the files be what was said. Raises nothing: troubles are kept and told."""
        due, self._due = self._due, {}
        for key, (revision, value) in due.items():
            try:
                self._make(key, value, revision)
            except ValueError as error:
                self._troubled(key, f"revision {revision}: {error}")
            except OSError as error:
                self.followed.owed.add(key)
                self._troubled(key, f"revision {revision}: {self._unwritten(key, error)}")

    def hooking(self, keys: Iterable[str]) -> None:
        """The hook for these documents is about to run: what ends the agent is not run for ever."""
        attempts = self.followed.attempts
        attempts.update({key: attempts.get(key, 0) + 1 for key in keys})

    def hooked(self, key: str, revision: int, trouble: str) -> None:
        """The hook for a document's change has ended, well or with a trouble."""
        if self.followed.unhooked.get(key) == revision:
            del self.followed.unhooked[key]
            self.followed.attempts.pop(key, None)
        if trouble:
            self._troubled(key, trouble)

    def _gone(self, key: str) -> None:
        held = self.followed.documents.get(key)
        if held is None:
            self._settled(key)
        else:
            self._due[key] = held.revision, None

    def _make(self, key: str, value: dict[str, Any] | None, revision: int) -> None:
        kept, name = self._home_and_name(key)
        held = self.followed.documents.get(key, NOTHING)
        if value is None:
            changed = kept.folder.remove(name) or held is not NOTHING
            self.followed.documents.pop(key, None)
        else:
            content = content_of(value)
            digest = hashlib.sha256(content).hexdigest()
            changed = kept.folder.write(name, content) or held.digest != digest
            self.followed.documents[key] = WrittenDocument(revision, digest)
        self.turns += self.followed.documents.get(key, NOTHING) != held
        if changed or held.revision < revision or key in self.followed.owed:
            self._settled(key)
        if changed:
            LOGGER.info("%s is at revision %d", key, revision)
            if self._home_and_name(key)[0].settings.hook:
                self.followed.unhooked[key] = revision
                self.followed.attempts.pop(key, None)
                self._tell(key, revision)

    def _tell(self, key: str, revision: int) -> None:
        kept = self._home(key)
        if kept is None or not kept.settings.hook:
            del self.followed.unhooked[key]
        else:
            self.changed(Changed(kept, key, named(key)[1], revision))

    def _troubled(self, key: str, reason: str) -> None:
        if self.followed.troubles.get(key) != reason[:REASON_LENGTH]:
            LOGGER.error("%s: %s", key, reason)
            self.turns += 1
        self.followed.troubles[key] = reason[:REASON_LENGTH]

    def _unwritten(self, key: str, error: OSError) -> str:
        kept, name = self._home_and_name(key)
        path = kept.folder.path_of(name)
        return f"{path} cannot be written: {error.strerror}; see its folder's owner, and its disk"

    def _settled(self, key: str) -> None:
        self.followed.owed.discard(key)
        if self.followed.troubles.pop(key, None) is not None:
            self.turns += 1

    def _are_there(self) -> bool:
        return all(
            kept.folder.holds(named(key)[1])
            for key in self.followed.documents
            if (kept := self._home(key)) is not None
        )

    def _home(self, key: str) -> KeptComponent | None:
        """Where a key's document belongs on this host, if it does."""
        if not key.startswith(PREFIX):
            return None
        component, name = named(key)
        return next((kept for kept in self.kept if kept.wants(component, name)), None)

    def _home_and_name(self, key: str) -> tuple[KeptComponent, str]:
        kept = self._home(key)
        assert kept is not None
        return kept, named(key)[1]


def feeds_of(kept: tuple[KeptComponent, ...]) -> tuple[str, ...]:
    """The feeds that a host lives by: those of the components whose documents it keeps."""
    return tuple(sorted({feed_of_component(each.settings.component) for each in kept}))


def kept_on(settings: tuple[DocumentsSettings, ...], config: Path) -> tuple[KeptComponent, ...]:
    """What the settings say; raises ConfigError for what they cannot mean."""
    return tuple(KeptComponent(each, folder_of(each, config)) for each in settings)


def fingerprint(kept: tuple[KeptComponent, ...]) -> str:
    """Which documents are kept where: with another one, all are fetched again."""
    told = [msgspec.to_builtins(each.settings, enc_hook=str) for each in kept]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()
