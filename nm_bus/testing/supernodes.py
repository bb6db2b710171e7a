"""A project's supernodes that answer from memory, for tests of those who live by the ledger.

They agree at once and keep one true ledger; tests cut them off, stop them, let them fall behind
and forget. Nothing is signed, and no time passes but that of the caller.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice

import msgspec

from nm_bus import codec
from nm_bus.codes import BAD_REQUEST, UNAVAILABLE
from nm_bus.core.ledger.applying import apply
from nm_bus.core.ledger.genesis import INCARNATION
from nm_bus.core.ledger.keys import LOCKS, why_no_feed
from nm_bus.core.ledger.reading import page
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.ledger.state import State, StateSnapshot
from nm_bus.core.ledger.syncing import synced
from nm_bus.errors import ConnectionLostError, TimedOutError
from nm_bus.messages import (
    Alert,
    Answer,
    Ask,
    Change,
    Message,
    NodeId,
    Page,
    Propose,
    Proposed,
    Query,
    Read,
    Standing,
    Subscribe,
    Sync,
    Synced,
    Tail,
    Update,
)
from nm_bus.testing.past import KeptUpdates
from nm_bus.testing.sight import Sight
from nm_bus.topology import ALERTS, UPDATES, alerts_queue, feed_bindings, update_key
from nm_bus.transport.memory_broker import topic_matches

PAGE = 3
"""How much an answer holds: little, so that every list comes in pages."""

MOST_TAILED, MOST_ALERTS = 10, 10_000
"""How much waits in a queue of live messages, and in one of alerts."""


@dataclass
class FakeQueue:
    """A queue. When it is full, its head goes."""

    exchange: str
    most: int
    keys: tuple[str, ...] = ("#",)
    waiting: deque[tuple[str, bytes]] = field(default_factory=deque)

    def put(self, key: str, body: bytes) -> None:
        """A message comes."""
        self.waiting.append((key, body))
        while len(self.waiting) > self.most:
            self.waiting.popleft()


@dataclass
class FakeSupernode:
    """One supernode. Set its flags to hurt it; `heal` brings it up to date."""

    node: NodeId
    state: State
    feed: list[Update] = field(default_factory=list)
    kept: int = 0
    """The revisions up to this one are forgotten: who needs them gets a snapshot."""
    kept_by: tuple[NodeId, ...] = ()
    """Who is said to have them."""
    dead: bool = False
    silent: bool = False
    cut: bool = False
    """No majority is reached from here: changes are accepted, and nothing new is heard."""
    tails: bool = True
    woken: list[Callable[[], None]] = field(default_factory=list)
    """Called when something was published, or it died."""
    queues: dict[str, FakeQueue] = field(default_factory=dict)
    sight: Sight = field(default_factory=Sight)
    asked: list[Message] = field(default_factory=list)
    accepted: list[Change] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def kill(self) -> None:
        """End it: its connections break, and new ones are refused."""
        self.dead = True
        self._wake()

    def learn(self, change: Change) -> Proposed:
        """Apply what was agreed, and publish it."""
        applied = apply(self.state, change, self.state.time + 1)
        if applied.update is not None:
            self.feed.append(applied.update)
            self.tell(applied.update)
        return applied.answer

    def tell(self, update: Update) -> None:
        """Publish an update to who follows."""
        self.publish(UPDATES, update, str(update.revision), update_key(update.change))

    def publish(self, exchange: str, message: Message, id: str, key: str = "") -> None:
        """Put a message into all queues that are bound to an exchange."""
        body = codec.encode(message, source=self.node, id=id, time=0.0)
        for queue in self.queues.values():
            if queue.exchange == exchange and any(topic_matches(k, key) for k in queue.keys):
                queue.put(key, body)
        self._wake()

    def _wake(self) -> None:
        for wake in self.woken:
            wake()

    def answer(
        self, user: NodeId, message: Message, propose: Callable[[Change], Proposed]
    ) -> Answer:
        """What it says to a request."""
        flaw = (
            why_no_feed(message.feed) if isinstance(message, Tail | Sync) and message.feed else ""
        )
        match message:
            case Subscribe() | Tail() if not flaw:
                return self._bound(user, message)
            case Query() | Ask():
                return self.sight.answer(self.node, message)
            case Propose(change):
                return self._proposed(change, propose)
            case Sync() if not flaw:
                return _good(self._synced(message))
            case Read():
                return self._read(message)
        return _refused(BAD_REQUEST, flaw or f"{type(message).__name__} is not answered here")

    def _bound(self, user: NodeId, message: Subscribe | Tail) -> Answer:
        """A queue of alerts stays when nobody reads it."""
        if isinstance(message, Subscribe):
            name = alerts_queue(user, message.name)
            self.queues.setdefault(name, FakeQueue(ALERTS, MOST_ALERTS))
        elif self.tails:
            name = f"tail.{next(self._numbers)}"
            keys = feed_bindings(message.feed) if message.feed else (message.key,)
            self.queues[name] = FakeQueue(message.exchange, MOST_TAILED, keys)
        else:
            return _refused(UNAVAILABLE, "you have too many tail queues")
        return Answer("", True, data={"queue": name})

    def _proposed(self, change: Change, propose: Callable[[Change], Proposed]) -> Answer:
        if self.cut:
            self.accepted.append(change)
            return _good(Proposed(change.id, "accepted"))
        proposed = propose(change)
        if proposed.state == "refused":
            return _refused(proposed.code, proposed.reason)
        return _good(proposed)

    def _read(self, read: Read) -> Answer:
        state = self.state
        if state.revision < read.at_least:
            return _refused(UNAVAILABLE, f"{self.node} has not applied it yet")
        if read.what == "answer":
            known = state.answer(read.key)
            return _good(known) if known else _refused("unknown-key", "not known")
        found = self._standing() if read.what == "ledger" else self._found(read)
        if isinstance(found, Refusal):
            return _refused(found.code, found.reason)
        return _good(found)

    def _found(self, read: Read) -> Page | Refusal:
        match read.what:
            case "entry":
                entry = self.state.get(read.key)
                return self._page(entries=(entry,) if entry else ())
            case "place":
                return page(read, self.state, self._past)
            case "entries":
                found = list(islice(self.state.under(read.key, read.after), PAGE + 1))
                return self._page(entries=tuple(found[:PAGE]), more=len(found) > PAGE)
        told = self._told(read)
        more = len(told) > PAGE
        return self._page(
            updates=tuple(told[:PAGE]), more=more, kept_from=self.kept, kept_by=self.kept_by
        )

    def _told(self, read: Read) -> list[Update]:
        ours = [u for u in self.feed if read.key in ("", u.change.key) and u.revision > self.kept]
        if read.without_locks:
            ours = [update for update in ours if update.place.feed != LOCKS]
        if read.newest_first:
            return [u for u in reversed(ours) if not read.since or u.revision < read.since]
        return [u for u in ours if u.revision > read.since]

    def _page(self, **found: object) -> Page:
        state = self.state
        return msgspec.structs.replace(Page(state.revision, state.head, state.epoch), **found)

    def _standing(self) -> Standing:
        state = self.state
        place = state.epoch, state.revision, state.head
        voters, standbys = tuple(sorted(state.voters)), tuple(sorted(state.standbys))
        return Standing(self.node, INCARNATION, *place, 0, "", voters, standbys)

    @property
    def _past(self) -> KeptUpdates:
        return KeptUpdates(self.kept, self.kept_by, self.feed)

    def _synced(self, sync: Sync) -> Synced:
        return synced(sync, self.state, self._past, most_updates=PAGE, most_entries=PAGE)


def _good(data: object) -> Answer:
    return Answer("", True, data=msgspec.to_builtins(data))


def _refused(code: str, error: str) -> Answer:
    return Answer("", False, code, error)


@dataclass
class FakeSupernodes:
    """All of them, and the one ledger on which they agree."""

    genesis: StateSnapshot
    nodes: tuple[NodeId, ...]
    decided: list[Change] = field(default_factory=list)
    sight: Sight = field(default_factory=Sight)

    def __post_init__(self) -> None:
        self.by_node = {node: self._new(node) for node in self.nodes}

    def _new(self, node: NodeId) -> FakeSupernode:
        return FakeSupernode(node, State.of(self.genesis), sight=self.sight)

    def __getitem__(self, index: int) -> FakeSupernode:
        return self.by_node[self.nodes[index]]

    def propose(self, change: Change) -> Proposed:
        """Agree on a change; one that is cut off or dead learns it when it is healed."""
        self.decided.append(change)
        answers = [one.learn(change) for one in self.by_node.values() if not one.cut]
        return answers[0]

    def alert(self, alert: Alert) -> None:
        """Publish an alert at every supernode that is not dead."""
        for one in self.by_node.values():
            if not one.dead:
                one.publish(ALERTS, alert, alert.transition, alert.severity)

    def heal(self, node: NodeId) -> None:
        """Bring a supernode back: it learns what it missed, and what it accepted is agreed."""
        one = self.by_node[node]
        one.dead = one.silent = one.cut = False
        replayed = self._new(node)
        replayed.kept = one.kept
        for change in self.decided:
            replayed.learn(change)
        missed = replayed.feed[len(one.feed) :]
        one.state, one.feed = replayed.state, replayed.feed
        for update in missed:
            one.tell(update)
        while one.accepted:
            self.propose(one.accepted.pop(0))

    def asked(self, user: NodeId, one: FakeSupernode, message: Message) -> Answer:
        """What one supernode says."""
        if one.dead:
            raise ConnectionLostError(f"{one.node} refuses connections")
        one.asked.append(message)
        if one.silent:
            raise TimedOutError(f"{one.node} gave no answer")
        return one.answer(user, message, self.propose)
