"""A project's supernodes that answer from memory, for tests of those who live by the ledger.

They agree at once and keep one true ledger; tests cut them off, stop them, let them fall behind
and forget. Nothing is signed, and no time passes but that of the caller.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from nm_bus import codec
from nm_bus.codes import BAD_REQUEST, UNAVAILABLE
from nm_bus.core.ledger.applying import apply
from nm_bus.core.ledger.genesis import INCARNATION
from nm_bus.core.ledger.state import Snapshot, State
from nm_bus.errors import ConnectionLostError, TimedOutError
from nm_bus.messages import (
    Answer,
    Change,
    Message,
    NodeId,
    Page,
    Propose,
    Proposed,
    Read,
    Seconds,
    Standing,
    Sync,
    Synced,
    Tail,
    Update,
)
from nm_bus.settings import Peer

PAGE = 3
"""How much an answer holds: little, so that every list comes in pages."""


@dataclass(slots=True)
class Arrival:
    """A message that waits in a queue."""

    body: bytes
    acked: bool = False

    def ack(self) -> None:
        """It was taken."""
        self.acked = True


@dataclass
class FakeSupernode:
    """One supernode. Set its flags to hurt it; `heal` brings it up to date."""

    node: NodeId
    state: State
    feed: list[Update] = field(default_factory=list)
    kept: int = 0
    """The revisions up to this one are forgotten: who needs them gets a snapshot."""
    dead: bool = False
    silent: bool = False
    cut: bool = False
    """No majority is reached from here: changes are accepted, and nothing new is heard."""
    tails: bool = True
    lines: "list[FakeLine]" = field(default_factory=list)
    asked: list[Message] = field(default_factory=list)
    accepted: list[Change] = field(default_factory=list)

    def kill(self) -> None:
        """End it: its connections break, and new ones are refused."""
        self.dead = True

    def learn(self, change: Change) -> Proposed:
        """Apply what was agreed, and publish it."""
        applied = apply(self.state, change, self.state.time + 1)
        if applied.update is not None:
            self.feed.append(applied.update)
            for line in self.lines:
                line.hear(applied.update)
        return applied.answer

    def answer(self, message: Message, propose: Callable[[Change], Proposed]) -> Answer:
        """What it says to a request."""
        match message:
            case Propose(change):
                return self._proposed(change, propose)
            case Sync():
                return _good(self._synced(message))
            case Tail() if self.tails:
                return Answer("", True, data={"queue": "tail"})
            case Tail():
                return _refused(UNAVAILABLE, "you have too many tail queues")
            case Read():
                return self._read(message)
        return _refused(BAD_REQUEST, f"{type(message).__name__} is not answered here")

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
        return _good(self._standing() if read.what == "ledger" else self._found(read))

    def _found(self, read: Read) -> Page:
        match read.what:
            case "entry":
                entry = self.state.get(read.key)
                return self._page(entries=(entry,) if entry else ())
            case "entries":
                found = list(islice(self.state.under(read.key, read.after), PAGE + 1))
                return self._page(entries=tuple(found[:PAGE]), more=len(found) > PAGE)
        told = self._told(read)
        more = len(told) > PAGE
        return self._page(updates=tuple(told[:PAGE]), more=more, kept_from=self.kept)

    def _told(self, read: Read) -> list[Update]:
        ours = [u for u in self.feed if read.key in ("", u.change.key) and u.revision > self.kept]
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

    def _synced(self, sync: Sync) -> Synced:
        state = self.state
        own = Synced("updates", state.epoch, state.revision, state.head)
        if sync.after is not None:
            return self._snapshot(own, sync.after)
        if sync.epoch != state.epoch:
            return msgspec.structs.replace(own, state="reset")
        if sync.revision > state.revision:
            return msgspec.structs.replace(own, state="lag")
        if sync.revision < self.kept:
            return self._snapshot(own, "")
        if sync.head not in ("", self._head(sync.revision)):
            return msgspec.structs.replace(own, state="reset")
        rest = [update for update in self.feed if update.revision > sync.revision]
        return msgspec.structs.replace(own, updates=tuple(rest[:PAGE]), more=len(rest) > PAGE)

    def _head(self, revision: int) -> str:
        if revision == self.state.revision:
            return self.state.head
        return next(u.previous for u in self.feed if u.revision == revision + 1)

    def _snapshot(self, own: Synced, after: str) -> Synced:
        found = list(islice(self.state.under("", after), PAGE + 1))
        return msgspec.structs.replace(
            own, state="snapshot", entries=tuple(found[:PAGE]), more=len(found) > PAGE
        )


def _good(data: object) -> Answer:
    return Answer("", True, data=msgspec.to_builtins(data))


def _refused(code: str, error: str) -> Answer:
    return Answer("", False, code, error)


@dataclass
class FakeSupernodes:
    """All of them, and a way to ask them (see `nm_bus.client.asking.Supernodes`).

    The clients of one project share them; `user` is whose questions `request` asks.
    """

    genesis: Snapshot
    nodes: tuple[NodeId, ...]
    user: NodeId = "admin.example"
    decided: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_node = {node: self._new(node) for node in self.nodes}

    def _new(self, node: NodeId) -> FakeSupernode:
        return FakeSupernode(node, State.of(self.genesis))

    def __getitem__(self, index: int) -> FakeSupernode:
        return self.by_node[self.nodes[index]]

    def propose(self, change: Change) -> Proposed:
        """Agree on a change; who is cut off or dead hears of it when it is healed."""
        self.decided.append(change)
        answers = [one.learn(change) for one in self.by_node.values() if not one.cut]
        return answers[0]

    def heal(self, node: NodeId) -> None:
        """Bring a supernode back: it learns what it missed, and what it accepted is agreed."""
        one = self.by_node[node]
        one.dead = one.silent = one.cut = False
        replayed = self._new(node)
        replayed.kept = one.kept
        for change in self.decided:
            replayed.learn(change)
        for update in replayed.feed[len(one.feed) :]:
            for line in one.lines:
                line.hear(update)
        one.state, one.feed = replayed.state, replayed.feed
        while one.accepted:
            self.propose(one.accepted.pop(0))

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId | None = None
    ) -> Answer:
        """Ask one supernode, or the first that answers."""
        assert timeout > 0
        nodes = [supernode] if supernode else [n for n in self.nodes if not self.by_node[n].dead]
        return self.asked(self.by_node[nodes[0]], message)

    def asked(self, one: FakeSupernode, message: Message) -> Answer:
        """What one supernode says."""
        if one.dead:
            raise ConnectionLostError(f"{one.node} refuses connections")
        one.asked.append(message)
        if one.silent:
            raise TimedOutError(f"{one.node} gave no answer")
        return one.answer(message, self.propose)

    @contextmanager
    def line(self, peer: Peer) -> "Iterator[FakeLine]":
        """A connection to one supernode (see `nm_bus.client.updates.Line`)."""
        one = self.by_node[peer.node]
        if one.dead:
            raise ConnectionLostError(f"{one.node} refuses connections")
        line = FakeLine(self, one)
        one.lines.append(line)
        try:
            yield line
        finally:
            one.lines.remove(line)


@dataclass
class FakeLine:
    """A connection. What is published waits in its queue, at most `most` messages of it."""

    supernodes: FakeSupernodes
    one: FakeSupernode
    most: int = 10
    came: Callable[[Arrival], None] | None = None
    queue: deque[Arrival] = field(default_factory=deque)

    @property
    def supernode(self) -> NodeId:
        """Whose it is."""
        return self.one.node

    def hear(self, update: Update) -> None:
        """It is published; when the queue is full, its head goes."""
        body = codec.encode(update, source=self.supernode, id="u", time=0.0)
        self.queue.append(Arrival(body))
        while len(self.queue) > self.most:
            self.queue.popleft()

    def ask(self, message: Message, _request: str, _timeout: Seconds) -> Answer:
        """Ask this supernode."""
        return self.supernodes.asked(self.one, message)

    def wait(self, done: Callable[[], bool], _timeout: Seconds) -> None:
        """Deliver what is there."""
        if self.one.dead:
            raise ConnectionLostError(f"the connection to {self.supernode} broke")
        while self.queue and self.came is not None:
            self.came(self.queue.popleft())
        done()

    @contextmanager
    def reading(
        self, _queue: str, came: Callable[[Arrival], None], _prefetch: int
    ) -> Iterator[None]:
        """Within, messages are delivered while somebody waits."""
        self.came = came
        yield
        self.came = None
