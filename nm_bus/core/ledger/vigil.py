"""Whose sessions are silent, by one supernode's own time: late perhaps, never early.

A sign of life is heard at one supernode and told to the others. Who has just started, or cannot
hear the others, counts every silence from now on: it may have missed the signs. A session costs
something when it opens, gives a sign or ends, and once in each time to live.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from nm_bus.messages import Entry, Seconds

MOST_TOLD = 1_000
"""How many signs are told at once; of more, the rest is told the next time."""


@dataclass(slots=True)
class _Silence:
    """How long nothing was heard of a session. `look` is when its time may be over at last."""

    generation: int
    ttl: Seconds
    since: Seconds
    look: Seconds = 0.0


@dataclass(slots=True)
class Vigil:
    """The silences of all sessions. `grace` is how long a sign may be on its way from another."""

    grace: Seconds
    _silences: dict[str, _Silence] = field(default_factory=dict)
    _looks: list[tuple[Seconds, str]] = field(default_factory=list)
    """A heap; an entry whose session is gone, or is looked at another time, counts for nothing."""
    _restarts: bool = False
    _again: Seconds = float("-inf")
    """No silence counts from before this."""
    _signs: dict[str, None] = field(default_factory=dict)

    def begin(self, sessions: Iterable[Entry], now: Seconds) -> None:
        """These and no others are open: count their silences from now on."""
        self._silences, self._looks = {}, []
        for session in sessions:
            self.opened(session, now)
        self._signs = {key: None for key in self._signs if key in self._silences}

    def opened(self, session: Entry, now: Seconds) -> None:
        """A session was opened, or opened again: count its silence from now on."""
        silence = _Silence(session.value["generation"], session.value["ttl"] / 1000, now)
        self._silences[session.key] = silence
        self._look_later(session.key, silence)

    def closed(self, session: str) -> None:
        """A session is over."""
        self._silences.pop(session, None)
        self._signs.pop(session, None)

    def sign(self, session: str, now: Seconds) -> None:
        """The owner of a session spoke of it here."""
        if session in self._silences:
            self._signs[session] = None
            self.told((session,), now)

    def told(self, sessions: Iterable[str], now: Seconds) -> None:
        """Other supernodes heard of the owners of these."""
        for session in sessions:
            if session in self._silences:
                self._silences[session].since = now

    def tell(self) -> tuple[str, ...]:
        """The signs that the others have not been told of yet."""
        told = tuple(self._signs)[:MOST_TOLD]
        for session in told:
            del self._signs[session]
        return told

    def restart(self) -> None:
        """Count every silence again, from when the silent ones are next asked for."""
        self._restarts = True

    def silent(self, now: Seconds, most: int) -> list[tuple[str, int]]:
        """Of the open sessions those whose time to live is over, with their generations.

        Each is given again after as long. Of more than `most` the rest comes the next time.
        """
        if self._restarts:
            self._restarts, self._again = False, now
        over: list[tuple[str, int]] = []
        while self._looks and self._looks[0][0] < now and len(over) < most:
            look, key = heappop(self._looks)
            silence = self._silences.get(key)
            if silence is None or silence.look != look:
                continue
            if self._ends(silence) < now:
                over.append((key, silence.generation))
                silence.since = now
            self._look_later(key, silence)
        return over

    def _ends(self, silence: _Silence) -> Seconds:
        """When its time to live is over, if nothing is heard until then."""
        return max(silence.since, self._again) + silence.ttl + self.grace

    def _look_later(self, key: str, silence: _Silence) -> None:
        silence.look = self._ends(silence)
        heappush(self._looks, (silence.look, key))
        if len(self._looks) > 2 * len(self._silences) + 100:
            # most of it is of sessions that came and went
            self._looks = [(each.look, key) for key, each in self._silences.items()]
            heapify(self._looks)
