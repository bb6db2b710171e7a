"""The whole federation as one supernode holds it, from what every supernode says of its members.

Pure. Statements may come twice, late, out of order or not at all: each entry is absolute and
carries its place in its speaker's stream, and a roster repairs what was lost. Whose home is not
heard is `unknown`: an old word is shown as old, never as true.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field

import msgspec

from nm_bus.core.homes import Homes, Speaker, Word
from nm_bus.core.links import LinkHealth
from nm_bus.core.sequence import outlived
from nm_bus.messages import (
    Declared,
    Health,
    LinkState,
    MemberState,
    MemberView,
    NodeId,
    PipeState,
    Seconds,
    Statement,
    Supernode,
    SupernodeView,
)


@dataclass(slots=True)
class Stream:
    """One speaker's stream: whom it told of, and how far it got."""

    incarnation: str = ""
    version: int = 0
    said: Seconds = 0.0
    pipe: PipeState | None = None
    received: int = 0
    refused: int = 0
    dropped: int = 0
    replaced: tuple[str, ...] = ()
    rostered: int = 0
    roster: frozenset[NodeId] = frozenset()
    words: dict[NodeId, Word] = field(default_factory=dict)


@dataclass(slots=True)
class Known:
    """What a supernode last said of itself, and when anything at all came from it."""

    since: Seconds
    heard: Seconds | None = None
    state: Supernode | None = None
    replaced: tuple[str, ...] = ()


@dataclass(slots=True)
class View:
    """What one supernode holds of all members and supernodes.

    `limit` is how long a supernode may be silent before its word is `unknown`.
    """

    origin: NodeId
    limit: Seconds
    streams: dict[Speaker, Stream] = field(default_factory=dict)
    supernodes: dict[NodeId, Known] = field(default_factory=dict)
    outsiders: frozenset[NodeId] = frozenset()
    """Supernodes that do not belong to the project (any more): they have no members."""
    inside: frozenset[NodeId] = frozenset()
    """The supernodes of the project."""
    gone: Callable[[NodeId], str] = lambda _node: ""
    """How a member left the project, by the ledger, though it may still speak; else empty. When
    its answer changes, the view is to be told: see `concerns`."""
    _homes: Homes = field(default_factory=Homes)
    _doubts: dict[Speaker, str] = field(default_factory=dict)
    """Why each stream was not to be trusted when this was last looked at."""

    def __post_init__(self) -> None:
        streams, self.streams = self.streams, {}
        for speaker, stream in streams.items():
            self.restore(speaker, stream)

    def restore(self, speaker: Speaker, stream: Stream) -> None:
        """Take up a stream as it was stored."""
        self._drop(speaker)
        self.streams[speaker] = stream
        for word in stream.words.values():
            self._homes.put(speaker, word)

    def _drop(self, speaker: Speaker) -> None:
        stream = self.streams.pop(speaker, None)
        self._doubts.pop(speaker, None)
        if stream is not None:
            self._homes.drop(speaker, stream.words)

    def concerns(self, node: NodeId) -> None:
        """Something outside of this view concerns a member: that it left, or is back."""
        self._homes.changed[node] = None

    def concerns_all(self) -> None:
        """Something concerns every member: the ledger took a snapshot, whatever is in it."""
        self._homes.changed.update((node, None) for node in self._homes)

    def take_changed(self, now: Seconds) -> list[NodeId]:
        """The members whose home, health or checks may be other than when this was last asked.

        A stream that became silent, or spoke again, is looked at as one, not for each member.
        """
        for speaker, stream in self.streams.items():
            doubt = self._doubt(speaker[0], stream, now)
            if doubt != self._doubts.get(speaker, ""):
                self._doubts[speaker] = doubt
                self._homes.changed.update((node, None) for node in stream.words)
        changed, self._homes.changed = self._homes.changed, {}
        return list(changed)

    def is_doubted(self, node: NodeId) -> bool:
        """Whether nothing is known of a member, as its stream was when changes were last taken."""
        found = self._homes.of(node)
        return found is not None and bool(self._doubts.get(found[0]))

    def is_inside(self, supernode: NodeId) -> bool:
        """Whether a supernode belongs to the project, as far as it is known."""
        known = self.inside or self.supernodes.keys()
        return supernode == self.origin or (supernode in known and supernode not in self.outsiders)

    def settle(self, inside: Set[NodeId], configured: Set[NodeId]) -> None:
        """Leave out who is not `inside`, the supernodes of the project. Of those, only the
        `configured` ones are still shown, without their members."""
        self.inside = frozenset(inside)
        known = self.supernodes.keys() | {origin for origin, _ in self.streams}
        self.outsiders = frozenset(known - inside)
        for speaker in [one for one in self.streams if one[0] in self.outsiders]:
            self._drop(speaker)
        for node in self.outsiders - configured:
            self.supernodes.pop(node, None)

    def stated(self, statement: Statement, now: Seconds) -> None:
        """Take a statement, whatever its order; repeating one changes nothing."""
        if statement.origin in self.outsiders:
            self.heard(statement.origin, now)
            return
        stream = self.streams.setdefault((statement.origin, statement.partition), Stream())
        if not _current(stream, statement.incarnation):
            return
        self.heard(statement.origin, now)
        if statement.sequence > stream.version:
            stream.version, stream.said, stream.pipe = statement.sequence, now, statement.pipe
            stream.received, stream.refused = statement.received, statement.refused
            stream.dropped = statement.dropped
        speaker = (statement.origin, statement.partition)
        for state in statement.members:
            if (word := _tell(stream, state, statement.sequence, now)) is not None:
                self._homes.put(speaker, word)
        for node, age in statement.heard.items():
            if _hear(stream, node, age, statement.sequence, now):
                self._homes.refresh(node)
        if statement.roster is not None:
            gone = _keep(stream, frozenset(statement.roster), statement.sequence)
            self._homes.drop(speaker, gone)

    def described(self, state: Supernode, now: Seconds) -> None:
        """Take what a supernode says of itself; the newest of its newest incarnation counts."""
        known = self.supernodes.setdefault(state.origin, Known(now))
        old = known.state
        if state.incarnation in known.replaced:
            return
        self.heard(state.origin, now)
        if old is not None and old.incarnation != state.incarnation:
            known.replaced = outlived(known.replaced, old.incarnation)
        elif old is not None and old.sequence >= state.sequence:
            return
        known.state = state
        self._drop_former(state, now)

    def _drop_former(self, state: Supernode, now: Seconds) -> None:
        """Forget processes that are no more, when the others have told all that they took over."""
        if not self.is_complete(state.origin, state.partitions, now - self.limit):
            return
        for (origin, partition), stream in list(self.streams.items()):
            is_former = origin == state.origin and partition >= state.partitions
            if is_former and now - stream.said > self.limit:
                self._drop((origin, partition))

    def heard(self, supernode: NodeId, now: Seconds) -> None:
        """Anything at all came from a supernode."""
        self.supernodes.setdefault(supernode, Known(now)).heard = now

    def expect(self, supernode: NodeId, now: Seconds) -> None:
        """A supernode is configured: it is listed though it has not spoken yet."""
        self.supernodes.setdefault(supernode, Known(now))

    def home(self, node: NodeId) -> NodeId | None:
        """The supernode that heard a member last, or None when nobody did."""
        found = self._homes.of(node)
        return found[0][0] if found else None

    def member(self, node: NodeId, now: Seconds) -> MemberView | None:
        """One member, or None when nobody ever heard it."""
        found = self._homes.of(node)
        return self._shown(*found, now) if found else None

    def declared(self, node: NodeId) -> tuple[Declared, ...]:
        """What a member declared of its own metrics."""
        found = self._homes.of(node)
        return (found[1].state.declared or ()) if found else ()

    def members(self, now: Seconds) -> Iterator[MemberView]:
        """Every member, once, by its freshest word."""
        for node in self._homes:
            if (found := self._homes.of(node)) is not None:
                yield self._shown(*found, now)

    def overview(self, now: Seconds) -> Iterator[SupernodeView]:
        """Every supernode, this one included."""
        for node, known in sorted(self.supernodes.items()):
            reason = self.silence(node, now)
            health = Health.UNKNOWN if reason else Health.ALIVE
            pipes = tuple(
                stream.pipe
                for (origin, _), stream in sorted(self.streams.items())
                if origin == node and stream.pipe is not None
            )
            heard = None if known.heard is None else now - known.heard
            yield SupernodeView(node, health, reason, heard, known.state, pipes)

    def silence(self, supernode: NodeId, now: Seconds) -> str:
        """Why a supernode's word is not to be trusted now; empty when it is heard."""
        known = self.supernodes.get(supernode)
        if known is None or known.heard is None:
            return f"supernode {supernode} has not been heard yet"
        if now - known.heard > self.limit:
            return f"no word from supernode {supernode} for over {self.limit:g} s"
        return ""

    def is_expected(self, supernode: NodeId, now: Seconds) -> bool:
        """Whether a supernode has not been heard yet, and had no time to be."""
        known = self.supernodes.get(supernode)
        return known is not None and known.heard is None and now - known.since <= self.limit

    def heard_elsewhere(self, supernode: NodeId, now: Seconds) -> bool:
        """Whether another supernode that is heard says that its link from this one works."""
        return any(
            link.source == supernode and link.state == LinkHealth.RUNNING
            for node, known in self.supernodes.items()
            if node not in (supernode, self.origin) and not self.silence(node, now)
            for link in _incoming(known)
        )

    def refused(self, supernode: NodeId) -> int:
        """How many messages a supernode's ingest processes have refused so far."""
        return sum(s.refused for (origin, _), s in self.streams.items() if origin == supernode)

    def dropped(self, supernode: NodeId) -> int:
        """How many of them could not be put aside either."""
        return sum(s.dropped for (origin, _), s in self.streams.items() if origin == supernode)

    def is_complete(self, supernode: NodeId, partitions: int, since: Seconds) -> bool:
        """Whether each ingest process of a supernode has told all its members since then."""
        streams = (self.streams.get((supernode, n)) for n in range(partitions))
        return all(s is not None and s.rostered and s.said >= since for s in streams)

    def _shown(self, speaker: Speaker, word: Word, now: Seconds) -> MemberView:
        home, _ = speaker
        stream = self.streams[speaker]
        state = msgspec.structs.replace(
            word.state,
            heard=None if word.heard is None else now - word.heard,
            changed=now - word.changed,
        )
        doubt = self._doubt(home, stream, now)
        if gone := self.gone(state.node):
            state = msgspec.structs.replace(state, health=Health.LEFT, reason=gone)
        if doubt and state.health is not Health.LEFT:
            state = msgspec.structs.replace(state, health=Health.UNKNOWN, reason=doubt)
        return MemberView(home, now - stream.said, state)

    def _doubt(self, home: NodeId, stream: Stream, now: Seconds) -> str:
        if home != self.origin and (silence := self.silence(home, now)):
            return silence
        if now - stream.said > self.limit:
            return f"no word from an ingest process of {home} for over {self.limit:g} s"
        return ""


def _incoming(known: Known) -> tuple[LinkState, ...]:
    return known.state.incoming if known.state else ()


def _current(stream: Stream, incarnation: str) -> bool:
    """Whether a statement is of the speaker's current life; a new life replaces the old one."""
    if incarnation == stream.incarnation:
        return True
    if incarnation in stream.replaced:
        return False
    if stream.incarnation:
        stream.replaced = outlived(stream.replaced, stream.incarnation)
    stream.incarnation, stream.version, stream.rostered = incarnation, 0, 0
    for word in stream.words.values():
        word.version = 0
    return True


def _tell(stream: Stream, state: MemberState, version: int, now: Seconds) -> Word | None:
    """Take a word, and give it, unless a later one is there."""
    old = stream.words.get(state.node)
    if old is not None and old.version >= version:
        return None
    if version < stream.rostered and state.node not in stream.roster:
        return None
    if old is not None:
        state = _completed(state, old.state)
    heard = None if state.heard is None else now - state.heard
    word = stream.words[state.node] = Word(now, heard, now - state.changed, version, state)
    return word


def _completed(state: MemberState, old: MemberState) -> MemberState:
    """What a state does not repeat is as it was."""
    if None not in (state.properties, state.declared, state.running):
        return state
    return msgspec.structs.replace(
        state,
        properties=state.properties or old.properties,
        declared=old.declared if state.declared is None else state.declared,
        running=state.running or old.running,
    )


def _hear(stream: Stream, node: NodeId, age: Seconds, version: int, now: Seconds) -> bool:
    """Whether it made a word fresher."""
    word = stream.words.get(node)
    if word is None or word.version >= version:
        return False
    word.heard = now - age
    word.said = now
    return True


def _keep(stream: Stream, roster: frozenset[NodeId], version: int) -> list[NodeId]:
    """Drop who is not on the newest roster, unless a later word told of them; give those."""
    if version <= stream.rostered:
        return []
    stream.rostered, stream.roster = version, roster
    gone = [
        node for node, word in stream.words.items() if word.version < version and node not in roster
    ]
    for node in gone:
        del stream.words[node]
    return gone


def unknown(node: NodeId) -> str:
    """What is said of a node of which no supernode has received anything."""
    return f"{node} is no known node; see `nm-bus status --all`"
