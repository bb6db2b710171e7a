"""The half of a `Client` that is about the ledger: reads, changes and follows it, holds locks."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from nm_bus.client.asking import MAY_PASS, ROUNDS, Asking, Said, quietly
from nm_bus.client.carrier import Carrier, Connect
from nm_bus.client.entries import LedgerEntry, as_bytes, check_family
from nm_bus.client.locks import LOOK, Held, Lock
from nm_bus.client.proposing import Proposing
from nm_bus.client.reading import Reading
from nm_bus.client.sessions import SHARE, Session
from nm_bus.client.starting import feed_named, start_in
from nm_bus.client.updates import Updates
from nm_bus.codes import BAD_VALUE
from nm_bus.core.ledger.follower import NOWHERE, Place
from nm_bus.documents import Document, key_of, stored
from nm_bus.documents.names import why_no_name
from nm_bus.errors import ConflictError, ConnectionLostError, LockLostError, RefusedError
from nm_bus.messages import (
    ChangeId,
    NodeId,
    Proposed,
    Seconds,
    Standing,
    Update,
)
from nm_bus.settings import AdministratorSettings, load, timing

if TYPE_CHECKING:
    from nm_bus.checking.checker import Checker


class LedgerClient:
    """See `nm_bus.client.Client`."""

    def __init__(
        self,
        settings: AdministratorSettings | Path | str,
        *,
        timeout: Seconds = 30.0,
        said: Said = quietly,
        connect: Connect | None = None,
        rounds: int | None = None,
    ) -> None:
        if isinstance(settings, Path | str):
            settings = load(Path(settings), AdministratorSettings)
        self.settings, self.timeout = settings, timeout
        self._said, self._connect = said, connect or _connect
        self._carrier: Carrier = self._connect(settings)
        self._closing = ExitStack()
        self._closing.callback(self._carrier.close)
        self._checker: Checker | None = None
        self._only: dict[NodeId, Self] = {}
        peers = (peer.node for peer in settings.supernodes)
        self._asking = Asking(self._carrier, peers, timing(settings), said, rounds)
        self._reading = Reading(self._asking, timeout)
        self._proposing = Proposing(self._asking, self._carrier.user, self._carrier.signed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the supernode. What was handed out to follow goes on until it is closed itself."""
        self._closing.close()

    @property
    def user(self) -> NodeId:
        """Who the certificate says we are: the actor of our changes."""
        return self._carrier.user

    @property
    def supernodes(self) -> tuple[NodeId, ...]:
        """The supernodes of the settings."""
        return tuple(peer.node for peer in self.settings.supernodes)

    def at(self, supernode: NodeId) -> Self:
        """The same, but what is asked is asked at this supernode alone, and at once: it does not
        wait until one that is down is back. It is closed with us.

        Raises ConnectionLostError for one that the settings do not name.
        """
        if supernode not in self._only:
            peers = tuple(peer for peer in self.settings.supernodes if peer.node == supernode)
            if not peers:
                raise ConnectionLostError(f"{supernode} is none of the supernodes in the settings")
            only = type(self)(
                replace(self.settings, supernodes=peers),
                timeout=self.timeout,
                said=self._said,
                connect=self._connect,
                rounds=ROUNDS,
            )
            self._closing.callback(only.close)
            self._only[supernode] = only
        return self._only[supernode]

    def beside(self, timeout: Seconds | None = None) -> Self:
        """Another client of the same settings, for another thread. It is closed by who asks."""
        return type(self)(
            self.settings,
            timeout=self.timeout if timeout is None else timeout,
            said=self._said,
            connect=self._connect,
        )

    # --- reading

    def get(self, key: str, *, at_least: int = 0, agreed: bool = False) -> LedgerEntry | None:
        """The entry of a key as one supernode has it, or None when there is none.

        With `at_least`, of a supernode that has applied this revision; with `agreed`, after all
        that was agreed when the question came: slower, but nobody else can know better.
        """
        check_family(key)
        return self._reading.entry(key, at_least=at_least, agreed=agreed)

    def document(
        self, component: str, name: str, *, at_least: int = 0, agreed: bool = False
    ) -> LedgerEntry | None:
        """A configuration document, read as by `get`: it has its `content` and `text`."""
        return self.get(key_of(component, name), at_least=at_least, agreed=agreed)

    def entries(
        self, prefix: str = "", *, at_least: int = 0, agreed: bool = False
    ) -> Iterator[LedgerEntry]:
        """All entries whose keys begin so, in the order of keys, fetched page by page.

        A change made meanwhile may be seen or not; `updates(since=...)` misses none.
        """
        return self._reading.entries(prefix, at_least=at_least, agreed=agreed)

    def records(self, kind: str = "") -> Iterator[LedgerEntry]:
        """The component records of a kind, or all of them."""
        return self.entries(f"record/{kind}/" if kind else "record/")

    def updates_of(
        self, key: str = "", *, since: int = 0, without_locks: bool = False
    ) -> Iterator[Update]:
        """The past updates of a key (of all keys, when empty) after a revision, oldest first;
        without those of locks and sessions, if these are not wanted.

        Only what a supernode still keeps: see `past_from`. To go on with what comes next, see
        `updates`.
        """
        return self._reading.updates_of(key, since=since, without_locks=without_locks)

    def history(
        self, key: str = "", *, before: int = 0, without_locks: bool = False
    ) -> Iterator[Update]:
        """The same, newest first, from before a revision; 0: from the newest."""
        return self._reading.history(key, before=before, without_locks=without_locks)

    def revision(self, number: int) -> Update | None:
        """One revision, from the first supernode that has it; None when no one has: see
        `past_from`."""
        return self._reading.revision(number)

    @property
    def past_from(self) -> int:
        """From which revision on the supernodes that were asked had all of what `updates_of`,
        `history` or `revision` has just read; 1: nothing is missing."""
        return self._reading.past_from

    @property
    def past_kept_by(self) -> tuple[NodeId, ...]:
        """Which other supernodes keep more of it, as far as those that were asked know."""
        return self._reading.past_kept_by

    def standing(self, supernode: NodeId | None = None) -> Standing:
        """How the ledger stands at a supernode that answers, or at the one that is named."""
        return self._reading.standing() if supernode is None else self.at(supernode).standing()

    def wait(self, revision: int, timeout: Seconds | None = None) -> Standing:
        """Wait until a supernode has applied a revision.

        Raises TimedOutError or ConnectionLostError with the reason when none has in time.
        """
        return self._reading.applied(revision, timeout)

    # --- following

    def updates(
        self,
        component: str | None = None,
        since: Place | int | None = None,
        *,
        feed: str | None = None,
        quiet: Seconds | None = None,
    ) -> Updates:
        """Follow what is agreed: each update once, in order, verified by the hash chain.

        With `component`, the feed of its documents alone; or any `feed`, such as `record`; else
        all. `since`: a place in the same feed, or a revision, to go on after it; None: from now on;
        NOWHERE: from the state, as a Snapshot, on. It never ends by itself; with `quiet`, it gives
        Quiet whenever nothing came for so long. What it yields and raises is told in
        `nm_bus.client.updates`. Raises RefusedError for what is no feed, or a place in another one.
        """
        return self._updates(start_in(self, feed_named(component, feed), since), quiet)

    def _updates(self, start: Place, quiet: Seconds | None) -> Updates:
        peers, times = self.settings.supernodes, timing(self.settings)
        return Updates(peers, self._carrier.line, times, start=start, quiet=quiet)

    def place(self, feed: str = "", after: int | None = None) -> Place:
        """Where a feed, or the whole, is now, or was after a revision: for `updates(since=...)`.

        NOWHERE when that is not known any more: to follow from there begins with a Snapshot.
        """
        if not feed:
            standing = self.standing()
            if after is None:
                return Place(standing.epoch, standing.revision, standing.head)
            return Place(standing.epoch, after, "")
        found = self._reading.place(feed, after)
        return Place(found.epoch, found.number, found.head, feed) if found else NOWHERE

    # --- changing

    def why_not(self, document: Document, *, forced: bool = False) -> str:
        """Why a document would be refused, in one sentence; empty when it would not be.

        It is read, and held against its schema, in a process with limits that ends with `close`.
        """
        if self._checker is None:
            # only who publishes needs the process that checks
            from nm_bus.checking.checker import Checker  # noqa: PLC0415

            self._checker = Checker()
            self._closing.callback(self._checker.close)
        return self._checker.why_no_document(document, forced=forced)

    def put(
        self,
        component: str,
        name: str,
        content: Any,
        *,
        schema: str | None = None,
        note: str = "",
        if_revision: int | None = None,
        force: bool = False,
        timeout: Seconds | None = None,
    ) -> Proposed:
        """Publish a version of a configuration document; returns once it is agreed.

        The content is bytes, text, or a value that is published as JSON.
        With `if_revision`, only if the document has this revision (0: does not exist): raises
        ConflictError otherwise. It is checked against `schema` (a JSON Schema as text), which is
        kept for later versions until another one is given. Raises RefusedError for what may not
        be published; `force` lets through what looks like a secret. Else as `propose`.
        """
        data = as_bytes(content)
        if flaw := why_no_name(component, name):
            raise RefusedError(flaw, BAD_VALUE)
        known = self._schema_of(component, name) if schema is None else schema
        document = Document(component, name, data, known)
        if flaw := self.why_not(document, forced=force):
            raise RefusedError(f"{document.key} {flaw}", BAD_VALUE)
        value = stored(document, schema=schema, note=note)
        return self.propose("set", document.key, value, expected=if_revision, timeout=timeout)

    def _schema_of(self, component: str, name: str) -> str:
        entry = self.document(component, name)
        return str(entry.value.get("schema", "")) if entry else ""

    def delete(
        self, key: str, *, if_revision: int | None = None, timeout: Seconds | None = None
    ) -> Proposed:
        """Delete an entry; its past stays in the history. Errors are those of `propose`."""
        return self.propose("delete", key, expected=if_revision, timeout=timeout)

    def set_record(
        self,
        kind: str,
        name: str,
        value: dict[str, Any],
        *,
        if_revision: int | None = None,
        timeout: Seconds | None = None,
    ) -> Proposed:
        """Say what a component is or has. Errors are those of `propose`."""
        key = f"record/{kind}/{name}"
        return self.propose("set", key, value, expected=if_revision, timeout=timeout)

    def propose(
        self,
        kind: str,
        key: str,
        value: dict[str, Any] | None = None,
        *,
        expected: int | None = None,
        base: int | None = None,
        id: ChangeId = "",
        timeout: Seconds | None = None,
    ) -> Proposed:
        """Ask for a change, at one supernode after another, until it is agreed.

        `base` is the revision that the author saw; unless given, the last one this client did.
        `id` asks again for a change whose outcome is not known: it is never done twice, but refused
        as too old when that may be (`too-old`). Raises ConflictError when
        somebody else came first, RefusedError when it may not be, and UndecidedError with the id
        when it is not agreed in time: it may be accepted, and agreed later.
        """
        whole = self.timeout if timeout is None else timeout
        end = time.monotonic() + whole
        if base is None:
            # what is asked again may have been done and forgotten: then it is refused as too old
            base = 0 if id else self._reading.base(whole / 2)
        change = self._proposing.change(
            kind,
            key,
            value,
            base=base,
            expected=expected,
            id=id,
        )
        proposed = self._proposing.agreed(change, max(0.1, end - time.monotonic()))
        self._reading.saw(proposed.revision)
        return proposed

    def outcome(self, id: ChangeId) -> Proposed | None:
        """What became of a change, by its id; None when no supernode that answers knows it."""
        return self._reading.outcome(id)

    # --- locks

    @contextmanager
    def lock(
        self, name: str, *, wait: Seconds | None = None, ttl: Seconds = 15.0
    ) -> Iterator[Held]:
        """Within, the lock of this name is ours, unless it is lost: see `nm_bus.client.locks`.

        Waits for it, for at most `wait` seconds where that is given, then raises ConflictError,
        which names the holder. Once we are silent for `ttl` seconds, it may be granted to another.
        Raises LockLostError at the end when it was lost.
        """
        end = float("inf") if wait is None else time.monotonic() + wait
        with self.locking(name, ttl, lambda: time.monotonic() >= end).held() as held:
            yield held

    def elect(
        self, name: str, *, ttl: Seconds = 15.0, until: Callable[[], bool] = lambda: False
    ) -> Iterator[Held]:
        """Stand for election for ever: gives each term in which we are the active one.

        A term lasts until its `lost` is set or the loop's body ends, which resigns; then we stand
        again. Waiting ends when `until` says so, which is asked about once a second.
        """
        while not until():
            try:
                with self.locking(name, ttl, until).held() as held:
                    yield held
            except (LockLostError, ConflictError, *MAY_PASS):
                continue

    def locking(self, name: str, ttl: Seconds, until: Callable[[], bool]) -> Lock:
        """A lock that is waited for until `until` says so; `lock` and `elect` are made of it."""

        def session() -> Session:
            # it is renewed by a thread of its own, and a client is for one thread
            return Session(self, self.beside(ttl / SHARE), ttl)

        return Lock(name, self, session, partial(self._updates, quiet=LOOK), until)


def _connect(settings: AdministratorSettings) -> Carrier:
    # who brings another carrier does not need kombu, which takes its time to load
    from nm_bus.client.connection import Bus  # noqa: PLC0415

    return Bus(settings)
