"""Locks in the ledger: one holder at a time, told by a token that grows for ever.

What a lock does not promise: a holder whose process is paused, or whose network is slow, may act
after it has lost the lock, before it can know. So whatever the lock protects must be handed the
token, and refuse a lower one than it has seen; or the work must do no harm when it is done twice.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from nm_bus.client.entries import moment
from nm_bus.client.sessions import LedgerAsking, Session
from nm_bus.client.updates import Snapshot, UpdateItem, Updates
from nm_bus.codes import GONE
from nm_bus.core.ledger.follower import Place
from nm_bus.core.ledger.keys import LOCKS
from nm_bus.errors import ConflictError, LockLostError, RefusedError
from nm_bus.messages import Entry, Seconds, Update

LOOK: Seconds = 1.0
"""How often one who waits looks at its clock."""

AGAIN: Seconds = 30.0
"""One who waits asks for the lock after so long, whatever it heard."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is ours until `lost`. Hand the `token` to what the lock protects."""

    name: str
    token: int
    session: Session

    @property
    def lost(self) -> threading.Event:
        """Is set when the lock is not ours any more, or cannot be known to be."""
        return self.session.lost

    def check(self) -> None:
        """Raises LockLostError when it is lost."""
        if self.lost.is_set():
            raise LockLostError(f"the lock {self.name} is lost: {self.session.reason}")


class Locking(LedgerAsking, Protocol):
    """What a lock needs of a `nm_bus.client.Client`."""

    timeout: Seconds

    def place(self, feed: str = "", after: int | None = None) -> Place:
        """Where a feed is."""


FollowFrom = Callable[[Place], Updates]
"""Follows the feed of a place from there on, and gives Quiet about every LOOK."""

Sessions = Callable[[], Session]
"""Makes a new session, which is not open yet."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that somebody wants. `until` tells when to give up waiting for it."""

    name: str
    ledger: Locking
    sessions: Sessions
    followed: FollowFrom
    until: Callable[[], bool]

    @property
    def key(self) -> str:
        """Its key in the ledger."""
        return f"lock/{self.name}"

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Within, the lock is ours.

        Raises ConflictError when another holds it for too long, and LockLostError when our
        session was lost meanwhile, at the end at the latest. Else what `Client.propose` raises.
        """
        start, session = self.ledger.place(LOCKS), self.sessions()
        try:
            session.open(self.ledger.timeout)
            held = self._granted(session, start)
            yield held
            held.check()
        finally:
            session.close(self.ledger.timeout)

    def _granted(self, session: Session, start: Place) -> Held:
        """Ask for the lock, and again whenever it may have become free after `start`."""
        held = self._asked(session)
        if isinstance(held, Held):
            return held
        with self.followed(start) as changes:
            while not isinstance(held, Held):
                self._wait(changes, session, held)
                held = self._asked(session)
        return held

    def _asked(self, session: Session) -> Held | ConflictError:
        timeout = self.ledger.timeout
        try:
            granted = self.ledger.propose("lock", self.key, session.named, timeout=timeout)
        except ConflictError as error:
            return error
        except RefusedError as error:
            if error.code == GONE:
                raise LockLostError(f"the lock {self.name} was not granted: {error}") from None
            raise
        return Held(self.name, granted.revision, session)

    def _wait(
        self, changes: Iterator[UpdateItem], session: Session, refused: ConflictError
    ) -> None:
        """Until the holder's session or the lock has changed, or a while has passed."""
        entry = self.ledger.get(self.key, agreed=True)
        if entry is None:
            return
        keys = {self.key, entry.value["session"]}
        end = time.monotonic() + AGAIN
        while not session.lost.is_set():
            if self.until():
                raise ConflictError(_held_by(self.name, entry), refused.code)
            item = next(changes)
            if isinstance(item, Snapshot) or time.monotonic() >= end:
                return
            if isinstance(item, Update) and item.change.key in keys:
                return
        raise LockLostError(f"the lock {self.name} was not granted: {session.reason}")


def _held_by(name: str, entry: Entry) -> str:
    value, since = entry.value, moment(entry.time).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{name} is held by {value['owner']} since {since}, token {value['token']}"
