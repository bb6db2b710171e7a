"""Whose sessions are silent, by one supernode's own time: late perhaps, never early.

A sign of life is heard at one supernode and told to the others. Who has just started, or cannot
hear the others, counts every silence from now on: it may have missed the signs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nm_bus.messages import Entry, Seconds

MOST_TOLD = 1_000
"""How many signs are told at once; of more, the rest is told the next time."""


@dataclass(slots=True)
class Vigil:
    """The silences of all sessions. `grace` is how long a sign may be on its way from another."""

    grace: Seconds
    _since: dict[str, tuple[int, Seconds]] = field(default_factory=dict)
    _signs: dict[str, None] = field(default_factory=dict)

    def sign(self, session: str, now: Seconds) -> None:
        """The owner of a session spoke of it here."""
        self._signs[session] = None
        self.told((session,), now)

    def told(self, sessions: Iterable[str], now: Seconds) -> None:
        """Other supernodes heard of the owners of these."""
        for session in sessions:
            if session in self._since:
                generation, _ = self._since[session]
                self._since[session] = generation, now

    def tell(self) -> tuple[str, ...]:
        """The signs that the others have not been told of yet."""
        told = tuple(self._signs)[:MOST_TOLD]
        for session in told:
            del self._signs[session]
        return told

    def restart(self) -> None:
        """Count every silence again."""
        self._since.clear()

    def silent(self, sessions: Iterable[Entry], now: Seconds) -> list[Entry]:
        """Of the open sessions those whose time to live is over; each again after as long."""
        open_ = {entry.key: entry for entry in sessions}
        self._since = {key: self._counted(entry, now) for key, entry in open_.items()}
        self._signs = {key: None for key in self._signs if key in open_}
        over = [entry for key, entry in open_.items() if self._is_over(entry, now)]
        for entry in over:
            self._since[entry.key] = entry.value["generation"], now
        return over

    def _counted(self, entry: Entry, now: Seconds) -> tuple[int, Seconds]:
        generation = entry.value["generation"]
        known, since = self._since.get(entry.key, (generation, now))
        return (generation, since if known == generation else now)

    def _is_over(self, entry: Entry, now: Seconds) -> bool:
        _, since = self._since[entry.key]
        ttl: int = entry.value["ttl"]
        return now - since > ttl / 1000 + self.grace
