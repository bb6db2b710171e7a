"""Following the ledger: every revision once, in order and verified, whatever happens to supernodes.

Live updates are the fast way, questions by `sync` the sure one: what a queue threw away, what a
lost connection swallowed and what another supernode knows already is asked for. Nothing runs in
the background: work is done while the caller asks for the next item, and nothing piles up.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol
from uuid import uuid4

from nm_bus import codec
from nm_bus.client.asking import good, understood
from nm_bus.client.following import PREFETCH, Quiet
from nm_bus.client.silence import MAY_PASS
from nm_bus.core.ledger.follower import Alarm, Apply, Follower, Load, Move, Place, Wait
from nm_bus.errors import ConfigError, ConnectionLostError, NmBusError, RefusedError
from nm_bus.messages import (
    Answer,
    Entry,
    Message,
    NodeId,
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

COMPARE: Seconds = 60.0
"""After so long a silence another supernode is asked whether this one is behind."""

QUEUE_AGAIN: Seconds = 30.0
"""When it is asked for a queue again."""

RUNNING = "running"
"""The state of a ledger that goes on."""


class Arrived(Protocol):
    """A message of a queue, which stays there until `ack`."""

    body: bytes

    def ack(self) -> None:
        """It was taken."""


class Line(Protocol):
    """A connection to one supernode; `nm_bus.client.route.Route` is the real one."""

    @property
    def supernode(self) -> NodeId:
        """Whose it is."""

    def ask(self, message: Message, request: str, timeout: Seconds, /) -> Answer:
        """Ask, and take what else comes meanwhile."""

    def wait(self, done: Callable[[], bool], timeout: Seconds, /) -> None:
        """Take what comes until `done` or the time is over."""

    def reading(
        self, queue: str, came: Callable[[Arrived], None], prefetch: int, /
    ) -> AbstractContextManager[None]:
        """Within, `came` is called for each message of a queue."""


Lines = Callable[[Peer], AbstractContextManager[Line]]
"""Opens a connection to a supernode."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state at once: who was too far behind begins anew with it.

    What is not among the `entries` is no more. An entry may be newer than the place, and its
    update then comes again. `reset`, when not empty, says why the history that was followed so far
    is not the ledger's: a person should know.
    """

    place: Place
    entries: tuple[Entry, ...]
    reset: str = ""


Item = Update | Snapshot | Quiet


@dataclass
class _Loading:
    """A snapshot that comes in pages."""

    entries: dict[str, Entry] = field(default_factory=dict)
    reset: str = ""


class Updates(Iterator[Item]):
    """Gives updates and snapshots for ever, and Quiet when nothing came for `quiet` seconds.

    One thread may use it; close it, or use it by `with`. Raises ConfigError or RefusedError when
    every supernode refuses us; whatever may pass is waited for.
    """

    def __init__(
        self,
        peers: Iterable[Peer],
        lines: Lines,
        timing: Timing,
        *,
        start: Place,
        wanted: Callable[[str], bool] = lambda _key: True,
        quiet: Seconds | None = None,
    ) -> None:
        self._peers, self._lines, self._timing = deque(peers), lines, timing
        self._follower, self._wanted, self._quiet = Follower(start), wanted, quiet
        self._place = start
        self._pauses = Pauses(timing.retry_first, timing.retry_most, random.random)
        self._arrived: deque[Arrived] = deque()
        self._loading = _Loading()
        self._refused = 0
        self._told = time.monotonic()
        self._items = self._forever()

    def __iter__(self) -> "Updates":
        return self

    def __next__(self) -> Item:
        item = next(self._items)
        self._told = time.monotonic()
        return item

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
        done, and hand it in as `since` to go on there."""
        return self._place

    # --- one supernode after another

    def _forever(self) -> Generator[Item, None, None]:
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

    def _pause(self, length: Seconds) -> Iterator[Item]:
        end = time.monotonic() + length
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, STEP))
            yield from self._quietly()

    def _quietly(self) -> Iterator[Item]:
        if self._quiet is not None and time.monotonic() - self._told >= self._quiet:
            yield Quiet()

    def _at(self, peer: Peer) -> Iterator[Item]:
        """Follow at one supernode, until an error; without a queue only for a while."""
        self._arrived.clear()
        with self._lines(peer) as line:
            made = line.ask(Tail(UPDATES), str(uuid4()), self._timing.connect)
            self._follower.reconnected()
            if not made.ok:
                yield from self._follow(line, POLL, time.monotonic() + QUEUE_AGAIN)
                return
            with line.reading(str(made.data["queue"]), self._arrived.append, PREFETCH):
                yield from self._follow(line, PROBE, float("inf"))

    def _follow(self, line: Line, probe: Seconds, end: Seconds) -> Iterator[Item]:
        heard = compared = time.monotonic()
        answered = True
        while (now := time.monotonic()) < end:
            question = self._follower.question
            if question is not None and (answered or now - heard >= STEP):
                answered = yield from self._ask(line, question)
                heard = time.monotonic()
            elif now - heard >= probe:
                self._look(line)
                self._follower.reconnected()
                answered = True
                if now - compared >= COMPARE:
                    compared = now
                    self._compare(line)
            line.wait(lambda: bool(self._arrived), self._step(question, answered))
            while self._arrived:
                heard = time.monotonic()
                yield from self._given(self._taken(self._arrived.popleft()))
            yield from self._quietly()

    def _step(self, question: Sync | None, answered: bool) -> Seconds:
        if question is not None and answered:
            return 0.0
        return STEP if self._quiet is None else min(STEP, self._quiet)

    def _look(self, line: Line) -> None:
        """Make sure that the supernode still takes part in what is agreed."""
        standing = self._standing(line)
        if standing.state != RUNNING:
            raise ConnectionLostError(f"{line.supernode} does not go on: {standing.reason}")

    def _compare(self, line: Line) -> None:
        """A supernode that is cut off from the others cannot know what it misses."""
        there = 0
        peer = self._peers[1 % len(self._peers)]
        with suppress(NmBusError), self._lines(peer) as other:
            there = self._standing(other).revision
        if there > self._follower.place.revision:
            raise ConnectionLostError(f"{line.supernode} is behind: revision {there} was agreed")

    def _standing(self, line: Line) -> Standing:
        answer = line.ask(Read("ledger"), str(uuid4()), self._timing.connect)
        return understood(good(answer, line.supernode).data, Standing)

    # --- what is said

    def _ask(self, line: Line, question: Sync) -> Generator[Item, None, bool]:
        """Ask what comes next; tells whether that led anywhere."""
        answer = line.ask(question, str(uuid4()), self._timing.connect)
        synced = understood(good(answer, line.supernode).data, Synced)
        moves = self._follower.answered(question, synced)
        self._pauses.reset()
        self._refused = 0
        yield from self._given(moves)
        return bool(moves)

    def _taken(self, message: Arrived) -> list[Move]:
        """A live message; one that is no update is of no use to anybody."""
        body = bytes(message.body)
        message.ack()
        event = codec.decode(body, limit=PEER_BYTES)
        if isinstance(event, codec.Rejected) or not isinstance(event.data, Update):
            return []
        return self._follower.take(event.data)

    def _given(self, moves: list[Move]) -> Iterator[Item]:
        for move in moves:
            match move:
                case Apply(update):
                    self._place = Place(update.epoch, update.revision, update.head)
                    if self._wanted(update.change.key):
                        yield update
                case Load():
                    yield from self._loaded(move)
                case Alarm(reason):
                    self._loading.reset = reason
                case Wait(reason):
                    raise ConnectionLostError(reason)

    def _loaded(self, page: Load) -> Iterator[Item]:
        if page.first:
            self._loading.entries.clear()
        self._loading.entries |= {e.key: e for e in page.entries if self._wanted(e.key)}
        if page.last:
            loading, self._loading = self._loading, _Loading()
            self._place = self._follower.place
            yield Snapshot(self._place, tuple(loading.entries.values()), loading.reset)


def of_component(component: str | None) -> Callable[[str], bool]:
    """Whether a key is among the documents of a component; without one, every key is."""
    return partial(_begins, f"config/{component}/" if component else "")


def _begins(prefix: str, key: str) -> bool:
    return key.startswith(prefix)
