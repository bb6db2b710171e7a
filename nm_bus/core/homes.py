"""Whose word on each member is the freshest: an index of a view, kept as words change. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nm_bus.messages import CheckStatus, MemberState, NodeId, Seconds

Speaker = tuple[NodeId, int]
"""One ingest process of one supernode."""


@dataclass(slots=True)
class Word:
    """One speaker's last word on one member; times are the hearer's own."""

    said: Seconds
    heard: Seconds | None
    changed: Seconds
    version: int
    state: MemberState


@dataclass(slots=True)
class Homes:
    """The words on each member, by speaker, and whose is the freshest; of two equally fresh ones
    the last by the speaker's name, so that it is the same at every supernode."""

    changed: dict[NodeId, None] = field(default_factory=dict)
    """Members whose home, health or checks may be other than when this was last emptied."""
    _words: dict[NodeId, dict[Speaker, Word]] = field(default_factory=dict)
    _freshest: dict[NodeId, Speaker] = field(default_factory=dict)

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._freshest)

    def of(self, node: NodeId) -> tuple[Speaker, Word] | None:
        """The freshest word on a member and its speaker, or None when nobody has any."""
        speaker = self._freshest.get(node)
        return None if speaker is None else (speaker, self._words[node][speaker])

    def put(self, speaker: Speaker, word: Word) -> None:
        """A speaker has another word on a member."""
        node = word.state.node
        words = self._words.setdefault(node, {})
        before, words[speaker] = words.get(speaker), word
        if before is None or _differs(before.state, word.state):
            self.changed[node] = None
        self.refresh(node)

    def refresh(self, node: NodeId) -> None:
        """A word on a member is fresher than it was."""
        words = self._words[node]
        best = max(words, key=lambda each: (words[each].heard or 0.0, each))
        if self._freshest.get(node) != best:
            self._freshest[node] = best
            self.changed[node] = None

    def drop(self, speaker: Speaker, nodes: Iterable[NodeId]) -> None:
        """A speaker has no word on these members any more."""
        for node in nodes:
            words = self._words[node]
            del words[speaker]
            self.changed[node] = None
            if words:
                self.refresh(node)
            else:
                del self._words[node], self._freshest[node]


def _differs(before: MemberState, after: MemberState) -> bool:
    """Whether anything is another that can be wrong with a member: no ages, counts and values."""
    if (before.health, before.reason, before.interval) != (
        after.health,
        after.reason,
        after.interval,
    ):
        return True
    return _troubles(before) != _troubles(after)


def _troubles(state: MemberState) -> list[tuple[str, CheckStatus, str]]:
    """Its checks; the output of one that is well changes all the time, and is no matter here."""
    return [
        (c.name, c.status, "" if c.status is CheckStatus.OK else c.output) for c in state.checks
    ]
