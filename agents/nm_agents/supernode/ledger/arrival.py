"""A snapshot on its way to this supernode: asked for page by page, and kept in a file beside the
ledger until all of it is here.

Of the state that arrives nothing is in memory before its last page. What cannot be taken is said in
one sentence, for as long as it stands in the way.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from nm_agents.supernode.ledger.snapshots import Whole
from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.ledger.cut import FORM, SnapshotPage, compressed, joined, unpacked
from nm_bus.core.ledger.download import Download
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.usage import MOST_VALUES
from nm_bus.errors import StorageError
from nm_bus.messages import Offer, Seconds, Snap, VoterId, Want
from nm_bus.storage.ledger import NEWCOMER
from nm_bus.storage.pagefile import PageFile
from nm_bus.storage.retention import MIB

_LOG = logging.getLogger(__name__)

MOST_BYTES = 2 * MOST_VALUES
"""How large the file may grow: values, keys and answers of the largest state."""

SPARE = 16 * MIB
"""What a disk must have left beside the state itself, in the file of pages, in the ledger's log of
writes, and in the ledger: three times."""

AGAIN: Seconds = 20.0
"""How long no offer is looked at, at least, after one that could not be taken."""

PAUSE: Seconds = 300.0
"""The same, after pages that came could not be taken."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A whole state, as it was after a slot at its supplier; later than that of this supernode."""

    supplier: VoterId
    slot: int
    whole: Whole
    state: State


@dataclass(slots=True)
class Arrival:
    """At most one snapshot on its way. `ask` sends a supplier a step; `random` gives 0 to 1."""

    file: PageFile
    ask: Callable[[VoterId, Want], None]
    random: Callable[[], float]
    trouble: str = ""
    """Why the others' snapshot cannot be taken, in one sentence; empty when nothing is wrong."""
    _offer: Offer | None = None
    _about: Whole | None = None
    _download: Download | None = None
    _not_before: Seconds = 0.0
    _height: int = -1

    def __post_init__(self) -> None:
        self.file.clear()

    @classmethod
    def beside(
        cls, ledger: Path, ask: Callable[[VoterId, Want], None], random: Callable[[], float]
    ) -> Self:
        """With a file beside that of a ledger."""
        return cls(PageFile(ledger.with_name(f".{ledger.name}.pages"), MOST_BYTES), ask, random)

    def is_under_way(self, now: Seconds) -> bool:
        """Whether pages come, so that nobody else need be asked."""
        return self._download is not None and not self._download.is_silent(now)

    def offered(self, sender: VoterId, offer: Offer, state: State, now: Seconds) -> None:
        """Take a supernode's offer, in place of a `state`: of the supplier, or of anybody when that
        is silent."""
        if now < self._not_before or not self._gives_way(sender, offer, now):
            return
        about = self._read(sender, offer, state)
        if isinstance(about, str):
            self._refuse(about, now + AGAIN * (1 + self.random()))
            return
        try:
            self.file.begin()
        except StorageError as error:
            self._fail(f"the snapshot of {sender} cannot be taken: {error}", now)
            return
        _LOG.info("ledger: %s sends its state after slot %d", sender, offer.slot)
        self.trouble, self._offer, self._about = "", offer, about
        self._download = Download(sender, offer.cut, now, self.random)
        self.tick(now)

    def take(self, sender: VoterId, snap: Snap, now: Seconds) -> Arrived | None:
        """Take a page; gives the whole state once all are here."""
        download = self._download
        if download is None or (sender, snap.cut) != (download.supplier, download.cut):
            return None
        body = compressed(snap.body)
        if body is not None and download.take(snap.page, snap.question, now, last=snap.last):
            try:
                self.file.put(snap.page, body)
                if download.is_whole:
                    return self._arrived(now)
            except StorageError as error:
                self._fail(f"the snapshot of {sender} cannot be taken: {error}", now)
                return None
        self.tick(now)
        return None

    def tick(self, now: Seconds) -> None:
        """Ask for what is due."""
        if self._download is not None:
            for page, question in self._download.due(now):
                self.ask(self._download.supplier, Want(self._download.cut, page, question))

    def passed(self, height: int) -> None:
        """The ledger is at this height now: if that is a later one, nothing stands in its way, and
        a snapshot of an earlier slot is needed no more."""
        if height > self._height:
            self._height, self.trouble = height, ""
        if self._offer is not None and self._offer.slot <= height:
            self._drop()

    def _gives_way(self, sender: VoterId, offer: Offer, now: Seconds) -> bool:
        download = self._download
        if download is None or download.is_silent(now):
            return download is None or (sender, offer.cut) != (download.supplier, download.cut)
        return sender == download.supplier and offer.cut != download.cut

    def _read(self, sender: VoterId, offer: Offer, state: State) -> Whole | str:
        """What an offer says, if its pages may take the place of a state; else why not."""
        if offer.form != FORM:
            return (
                f"the snapshot of {sender} has the form {offer.form}, and this release of nm-bus"
                f" knows {FORM}: run the same release on both"
            )
        about = attempt(lambda: msgspec.json.decode(offer.about, type=Whole))
        if isinstance(about, Unreadable):
            return f"the snapshot of {sender} {about.reason}: run the same release on both"
        found = about.state
        if found.project != state.project or state.epoch not in (NEWCOMER, found.epoch):
            return f"the snapshot of {sender} is of another project or epoch"
        return self._too_large(offer) or about

    def _too_large(self, offer: Offer) -> str:
        if offer.size > MOST_VALUES:
            return (
                f"the others' state has {offer.size} bytes of values, and {MOST_VALUES} are the"
                " most that is taken: delete some there"
            )
        try:
            needed, room = 3 * offer.size + SPARE, self.file.room()
        except StorageError as error:
            return f"the others' snapshot cannot be taken: {error}"
        if needed > room:
            return (
                f"the others' snapshot needs {needed // MIB} MiB on disk, and {room // MIB} MiB are"
                f" left in {self.file.path.parent}: make room"
            )
        return ""

    def _arrived(self, now: Seconds) -> Arrived | None:
        download, offer, about = self._download, self._offer, self._about
        if download is None or offer is None or about is None:
            return None
        arrived = attempt(lambda: _whole(about, self.file))
        self._drop()
        if isinstance(arrived, Unreadable):
            self._fail(f"the snapshot of {download.supplier} {arrived.reason}", now)
            return None
        whole, state = arrived
        return Arrived(download.supplier, offer.slot, whole, state)

    def _fail(self, why: str, now: Seconds) -> None:
        """What arrived was of no use: not at once again."""
        self._drop()
        self._refuse(why, now + PAUSE * (1 + self.random()))

    def _refuse(self, why: str, until: Seconds) -> None:
        self._not_before = until
        if why != self.trouble:
            _LOG.error("the ledger is behind, and %s", why)
        self.trouble = why

    def _drop(self) -> None:
        self._offer = self._about = self._download = None
        self.file.clear()


def _whole(about: Whole, file: PageFile) -> tuple[Whole, State]:
    """What an offer announced with what its pages hold, and the state of that. Raises ValueError
    for a page that cannot be read."""
    snapshot = joined(about.state, _pages(file))
    return msgspec.structs.replace(about, state=snapshot), State.of(snapshot)


def _pages(file: PageFile) -> Iterator[SnapshotPage]:
    """The pages of a file. Raises ValueError for one that cannot be read."""
    for body in file.pages():
        page = unpacked(body)
        if isinstance(page, str):
            raise ValueError(page)
        yield page
