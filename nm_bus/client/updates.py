"""Following the ledger, or one feed of it: every update once, in order and verified, whatever
happens to supernodes.

Live updates are the fast way, questions by `sync` the sure one: what a queue threw away, what a
lost connection swallowed and what another supernode knows already is asked for. Nothing runs in
the background: work is done while the caller asks for the next item, and nothing piles up.
"""

import random
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import uuid4

from nm_bus import codec
from nm_bus.client.asking import MAY_PASS, good, understood
from nm_bus.client.carrier import PREFETCH, Lines, Quiet, Received, SupernodeLine
from nm_bus.client.entries import LedgerEntry, ledger_entry
from nm_bus.core.ledger.follower import Alarm, Apply, Follower, Load, Move, Place, Wait
from nm_bus.errors import ConfigError, ConnectionLostError, NmBusError, RefusedError
from nm_bus.messages import (
    Read,
    Seconds,
    Standing,
    Sync,
    Synced,
    Tail,
    Update,
)
from nm_bus.settings import Peer, Timing
from nm_bus.topology import PEER_BYTES, UPDATES
from nm_bus.transport.reconnect import Pauses

STEP: Seconds = 0.5
"""How long one wait for a message is."""

PROBE: Seconds = 5.0
"""After so long a silence the supernode is asked whether there is nothing new, or nobody there."""

POLL: Seconds = 1.0
"""How often it is asked when it made us no queue."""

COMPARE: Seconds = 45.0
"""After so long a silence another supernode is asked whether this one is behind."""

QUEUE_AGAIN: Seconds = 30.0
"""When it is asked for a queue again."""

RUNNING = "running"
"""The state of a ledger that goes on."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state at once, or that of the feed: who was too far behind begins again with it.

    What is not among the `entries` is no more. An entry may be newer than the place, and its
    update then comes again. `reset`, when not empty, says why the history that was followed so far
    is not the ledger's: a person should know.
    """

    place: Place
    entries: tuple[LedgerEntry, ...]
    reset: str = ""
    at: int = 0
    """The ledger's revision that it is of, or a later one."""


UpdateItem = Update | Snapshot | Quiet


@dataclass
class _LoadingState:
    """A snapshot that comes in pages."""

    entries: dict[str, LedgerEntry] = field(default_factory=dict)
    reset: str = ""


class Updates(Iterator[UpdateItem]):
    """Gives updates and snapshots for ever, and Quiet when nothing came for `quiet` seconds.

    Those of one feed when `start` is a place in one: nothing of any other reaches it. One thread
    may use it; close it, or use it by `with`. Raises ConfigError or RefusedError when every
    supernode refuses us; whatever may pass is waited for.
    """

    def __init__(
        self,
        peers: Iterable[Peer],
        lines: Lines,
        timing: Timing,
        *,
        start: Place,
        quiet: Seconds | None = None,
    ) -> None:
        self._peers, self._lines, self._timing = deque(peers), lines, timing
        self._follower, self._quiet = Follower(start), quiet
        self._place = start
        self._pauses = Pauses(timing.retry_first, timing.retry_most, random.random)
        self._arrived: deque[Received] = deque()
        self._loading = _LoadingState()
        self._refused = 0
        self._told = time.monotonic()
        self._wait: Seconds = STEP
        self._line: SupernodeLine | None = None
        self._items = self._forever()

    def __iter__(self) -> "Updates":
        return self

    def __next__(self) -> UpdateItem:
        while (item := self.step(STEP)) is None:
            continue
        return item

    def step(self, wait: Seconds) -> UpdateItem | None:
        """The next item, or None when nothing came within `wait` seconds. It may take longer
        where a supernode is asked, or a connection is opened."""
        self._wait = wait
        item = next(self._items)
        if item is not None:
            self._told = time.monotonic()
        return item

    def sockets(self) -> list[int]:
        """What becomes readable when there may be something."""
        return [self._line.fileno()] if self._line is not None else []

    def __enter__(self) -> "Updates":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the supernode."""
        self._items.close()

    @property
    def place(self) -> Place:
        """How far the items lead that were given, the last one included. Keep it when that one is
        done, and hand it in as `since` to go on there, in the same feed."""
        return self._place

    # --- one supernode after another

    def _forever(self) -> Generator[UpdateItem | None, None, None]:
        while True:
            try:
                yield from self._at(self._peers[0])
            except MAY_PASS:
                self._refused = 0
            except (ConfigError, RefusedError):
                self._refused += 1
                if self._refused == len(self._peers):
                    raise
            else:
                continue
            self._peers.rotate(-1)
            yield from self._pause(self._pauses.next())

    def _pause(self, length: Seconds) -> Iterator[UpdateItem | None]:
        end = time.monotonic() + length
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self._wait))
            yield from self._quietly()
            yield None

    def _quietly(self) -> Iterator[UpdateItem]:
        if self._quiet is not None and time.monotonic() - self._told >= self._quiet:
            yield Quiet()

    def _at(self, peer: Peer) -> Iterator[UpdateItem | None]:
        """Follow at one supernode, until an error; without a queue only for a while."""
        self._arrived.clear()
        with self._lines(peer) as line, self._open(line):
            tail = Tail(UPDATES, feed=self._place.feed)
            made = line.ask(tail, str(uuid4()), self._timing.connect)
            self._follower.reconnected()
            if not made.ok:
                yield from self._follow(line, POLL, time.monotonic() + QUEUE_AGAIN)
                return
            with line.reading(str(made.data["queue"]), self._arrived.append, PREFETCH):
                yield from self._follow(line, PROBE, float("inf"))

    @contextmanager
    def _open(self, line: SupernodeLine) -> Iterator[None]:
        """Within, this is the connection that there is."""
        self._line = line
        try:
            yield
        finally:
            self._line = None

    def _follow(
        self, line: SupernodeLine, probe: Seconds, end: Seconds
    ) -> Iterator[UpdateItem | None]:
        heard = compared = time.monotonic()
        answered = True
        while (now := time.monotonic()) < end:
            question = self._follower.question
            if question is not None and (answered or now - heard >= STEP):
                answered = yield from self._ask(line, question)
                heard = time.monotonic()
            elif now - heard >= probe:
                # make sure that the supernode still takes part in what is agreed.
                standing = self._standing(line)
                if standing.state != RUNNING:
                    raise ConnectionLostError(f"{line.supernode} does not go on: {standing.reason}")
                self._follower.reconnected()
                answered = True
                if now - compared >= COMPARE:
                    compared = now
                    self._compare(line)
            busy = question is not None and answered
            line.wait(lambda: bool(self._arrived), 0.0 if busy else self._patience())
            if not busy and not self._arrived:
                yield from self._quietly()
                yield None
            while self._arrived:
                update = _taken(self._arrived.popleft())
                # what another feed brings is no sign that this one lacks nothing
                if update is not None and self._follower.concerns(update):
                    heard = time.monotonic()
                    yield from self._given(self._follower.take(update))

    def _patience(self) -> Seconds:
        return min(STEP, self._wait, STEP if self._quiet is None else self._quiet)

    def _compare(self, line: SupernodeLine) -> None:
        """A supernode that is cut off from the others cannot know what it misses."""
        here = there = self._follower.place
        peer = self._peers[1 % len(self._peers)]
        with suppress(NmBusError), self._lines(peer) as other:
            found = self._synced(other, here.question)
            there = here.moved(found.epoch, found.number, found.head)
        if there.order > here.order:
            raise ConnectionLostError(f"{line.supernode} is behind: {peer.node} has more")

    def _standing(self, line: SupernodeLine) -> Standing:
        answer = line.ask(Read("ledger"), str(uuid4()), self._timing.connect)
        return understood(good(answer, line.supernode).data, Standing)

    # --- what is said

    def _ask(self, line: SupernodeLine, question: Sync) -> Generator[UpdateItem, None, bool]:
        """Ask what comes next; tells whether that led anywhere."""
        moves = self._follower.answered(question, self._synced(line, question))
        self._pauses.reset()
        self._refused = 0
        yield from self._given(moves)
        return bool(moves)

    def _synced(self, line: SupernodeLine, question: Sync) -> Synced:
        answer = line.ask(question, str(uuid4()), self._timing.connect)
        return understood(good(answer, line.supernode).data, Synced)

    def _given(self, moves: list[Move]) -> Iterator[UpdateItem]:
        for move in moves:
            match move:
                case Apply(update):
                    self._place = self._place.after(update)
                    yield update
                case Load():
                    yield from self._loaded(move)
                case Alarm(reason):
                    self._loading.reset = reason
                case Wait(reason):
                    raise ConnectionLostError(reason)

    def _loaded(self, page: Load) -> Iterator[UpdateItem]:
        if page.first:
            self._loading.entries.clear()
        self._loading.entries |= {entry.key: ledger_entry(entry) for entry in page.entries}
        if page.last:
            loading, self._loading = self._loading, _LoadingState()
            self._place = self._follower.place
            entries = tuple(loading.entries.values())
            yield Snapshot(self._place, entries, loading.reset, page.at)


def _taken(message: Received) -> Update | None:
    """A live message; one that is no update is of no use to anybody."""
    message.ack()
    event = codec.decode(message.body, limit=PEER_BYTES)
    if isinstance(event, codec.Rejected) or not isinstance(event.data, Update):
        return None
    return event.data
