"""`Client`: what a component sees of its project. Reads and changes the ledger, follows updates.

It asks whichever supernode answers. One thread may use a client; what it hands out to follow
(`updates`, `lock`, `elect`, `alerts`) has connections of its own, each again for one thread.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from nm_bus.checking.checker import Checker
from nm_bus.client.alerts import each_once
from nm_bus.client.asking import Asking, Supernodes, good, understood
from nm_bus.client.connection import Bus, route_to
from nm_bus.client.following import Quiet
from nm_bus.client.locks import LOOK, Held, Lock
from nm_bus.client.proposing import Proposing, Signed
from nm_bus.client.published import Published, as_bytes, check_family, published
from nm_bus.client.reading import Reading
from nm_bus.client.sessions import SHARE, Session
from nm_bus.client.silence import MAY_PASS, Said, quietly
from nm_bus.client.updates import Lines, Updates, of_component
from nm_bus.codes import BAD_VALUE
from nm_bus.core.ledger.follower import Place
from nm_bus.documents import Document, key_of, stored
from nm_bus.documents.names import why_no_name
from nm_bus.errors import ConflictError, LockLostError, RefusedError
from nm_bus.messages import (
    Alert,
    Change,
    ChangeId,
    DomainKey,
    Entry,
    NodeId,
    Overview,
    Proposed,
    Query,
    Read,
    Seconds,
    Severity,
    Standing,
    Subscribe,
    Update,
)
from nm_bus.settings import AdministratorSettings, load, timing

PAGES = 10_000
"""More pages than any federation has."""


class Client:
    """A component's or a person's way to the project of its settings; use it by `with`.

    The certificate in the settings decides who it is and what it may do. Every question is asked
    at one supernode after another until one answers it, for at most `timeout` seconds; then the
    most telling error is raised (see `nm_bus.errors`). Raises ConfigError for the own settings.
    `said` is called with a sentence when a supernode lets a question wait.
    """

    def __init__(
        self,
        settings: AdministratorSettings | Path | str,
        *,
        timeout: Seconds = 30.0,
        bus: Supernodes | None = None,
        signed: Signed | None = None,
        lines: Lines | None = None,
        said: Said = quietly,
    ) -> None:
        if isinstance(settings, Path | str):
            settings = load(Path(settings), AdministratorSettings)
        self.settings, self.timeout = settings, timeout
        self._given, self._signed = bus, signed or partial(_signed, settings)
        self._bus = bus or Bus(settings)
        self._checker = Checker()
        self._lines = lines or partial(route_to, settings=settings, user=self._bus.user)
        peers = (peer.node for peer in settings.supernodes)
        self._asking = Asking(self._bus, peers, timing(settings), said)
        self._reading = Reading(self._asking, timeout)
        self._proposing = Proposing(self._asking, self._bus.user, self._signed)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the supernode. What was handed out to follow goes on until it is closed itself."""
        self._checker.close()
        if isinstance(self._bus, Bus):
            self._bus.close()

    @property
    def user(self) -> NodeId:
        """Who the certificate says we are: the actor of our changes."""
        return self._bus.user

    # --- reading

    def get(self, key: str, *, at_least: int = 0, agreed: bool = False) -> Entry | None:
        """The entry of a key as one supernode has it, or None when there is none.

        With `at_least`, of a supernode that has applied this revision; with `agreed`, after all
        that was agreed when the question came: slower, but nobody else can know better.
        """
        check_family(key)
        return self._reading.entry(key, at_least=at_least, agreed=agreed)

    def document(
        self, component: str, name: str, *, at_least: int = 0, agreed: bool = False
    ) -> Published | None:
        """A configuration document, read as by `get`: it has its `content` and `text`."""
        return published(self.get(key_of(component, name), at_least=at_least, agreed=agreed))

    def entries(
        self, prefix: str = "", *, at_least: int = 0, agreed: bool = False
    ) -> Iterator[Entry]:
        """All entries whose keys begin so, in the order of keys, fetched page by page.

        A change made meanwhile may be seen or not; `updates(since=...)` misses none.
        """
        return self._reading.entries(prefix, at_least=at_least, agreed=agreed)

    def records(self, kind: str = "") -> Iterator[Entry]:
        """The component records of a kind, or all of them."""
        return self.entries(f"record/{kind}/" if kind else "record/")

    def updates_of(self, key: str = "", *, since: int = 0) -> Iterator[Update]:
        """The past updates of a key (of all keys, when empty) after a revision, oldest first.

        Only what a supernode still keeps: see `past_from`. To go on with what comes next, see
        `updates`.
        """
        return self._reading.updates_of(key, since=since)

    def history(self, key: str = "", *, before: int = 0) -> Iterator[Update]:
        """The same, newest first, from before a revision; 0: from the newest."""
        return self._reading.history(key, before=before)

    @property
    def past_from(self) -> int:
        """From which revision on the supernodes that were asked had all of what `updates_of` or
        `history` has just read; 1: nothing is missing."""
        return self._reading.past_from

    def standing(self, supernode: NodeId | None = None) -> Standing:
        """How the ledger stands at the supernode that is named, or at one that answers."""
        if supernode is None:
            return self._reading.standing()
        answer = self._bus.request(Read("ledger"), self.timeout, supernode)
        return understood(good(answer, supernode).data, Standing)

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
        quiet: Seconds | None = None,
    ) -> Updates:
        """Follow what is agreed: each revision once, in order, verified by the hash chain.

        `since`: a place or a revision, to go on after it; None: from now on; NOWHERE: from the
        whole state, as a Snapshot, on. With `component`, the updates of its documents alone. It
        never ends by itself; with `quiet`, it gives Quiet whenever nothing came for so long.
        What it yields and raises is told in `nm_bus.client.updates`.
        """
        start = since if isinstance(since, Place) else self._place(since)
        return self._updates(start, of_component(component), quiet)

    def _updates(
        self, start: Place, wanted: Callable[[str], bool], quiet: Seconds | None
    ) -> Updates:
        return Updates(
            self.settings.supernodes,
            self._lines,
            timing(self.settings),
            start=start,
            wanted=wanted,
            quiet=quiet,
        )

    def _place(self, revision: int | None) -> Place:
        standing = self.standing()
        if revision is None:
            return Place(standing.epoch, standing.revision, standing.head)
        return Place(standing.epoch, revision, "")

    # --- the federation

    def status(self) -> Overview:
        """What a supernode knows of all members, supernodes, links and alerts, pages together."""
        first = self._page(0)
        rest = [self._page(n) for n in range(1, min(first.pages, PAGES))]
        members = {m.state.node: m for page in (first, *rest) for m in page.members}
        return msgspec.structs.replace(first, pages=1, members=tuple(members.values()))

    def _page(self, number: int) -> Overview:
        answer = self._asking.settled(
            Query("status", page=number), good, timeout=self.timeout, patience=self.timeout
        )
        return understood(answer.data, Overview)

    def alerts(
        self,
        name: str = "",
        severities: tuple[Severity, ...] = (),
        under: tuple[DomainKey, ...] = (),
    ) -> Generator[Alert | Quiet, None, None]:
        """Follow alerts, each transition once: see `nm_bus.client.alerts`. Close it to end it.

        The queue of this name keeps them while nobody reads; empty severities and sites mean all.
        """
        return each_once(Bus(self.settings).follow(Subscribe(name, severities, under)))

    # --- changing

    def why_not(self, document: Document, *, forced: bool = False) -> str:
        """Why a document would be refused, in one sentence; empty when it would not be.

        It is read, and held against its schema, in a process with limits that ends with `close`.
        """
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
        `id` asks again for a change whose outcome is not known. Raises ConflictError when
        somebody else came first, RefusedError when it may not be, and UndecidedError with the id
        when it is not agreed in time: it may be accepted, and agreed later.
        """
        change = self._proposing.change(
            kind,
            key,
            value,
            base=self._reading.seen if base is None else base,
            expected=expected,
            id=id,
        )
        proposed = self._proposing.agreed(change, self.timeout if timeout is None else timeout)
        self._reading.saw(proposed.revision)
        return proposed

    def outcome(self, id: ChangeId) -> Proposed | None:
        """What became of a change, by its id; None when no supernode that answers knows it."""
        return self._reading.outcome(id)

    # --- locks

    @contextmanager
    def lock(self, name: str, *, wait: Seconds = 0.0, ttl: Seconds = 15.0) -> Iterator[Held]:
        """Within, the lock of this name is ours, unless it is lost: see `nm_bus.client.locks`.

        Waits for it for `wait` seconds, then raises ConflictError. Once we are silent for `ttl`
        seconds, it may be granted to another. Raises LockLostError at the end when it was lost.
        """
        deadline = time.monotonic() + wait
        with self._lock(name, ttl, lambda: time.monotonic() >= deadline).held() as held:
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
                with self._lock(name, ttl, until).held() as held:
                    yield held
            except (LockLostError, ConflictError, *MAY_PASS):
                continue

    def _lock(self, name: str, ttl: Seconds, until: Callable[[], bool]) -> Lock:
        def session() -> Session:
            beside = Client(
                self.settings,
                timeout=ttl / SHARE,
                # a session is renewed by a thread of its own, and a bus is for one thread
                bus=None if isinstance(self._given, Bus) else self._given,
                signed=self._signed,
                lines=self._lines,
            )
            return Session(self, beside, ttl)

        return Lock(name, self, session, partial(self._updates, quiet=LOOK), until)


def _signed(settings: AdministratorSettings, change: Change) -> tuple[Change, str]:
    # only who changes something needs the library of signatures, which is large
    from nm_bus.identity.signing import Signer  # noqa: PLC0415

    signer = Signer.load(settings.tls)
    return signer.sign(change), signer.certificate
