"""Whether silence can be trusted: a path measured by the canaries that come back through it.

A canary that returns proves that everything which entered the path before it was sent has been
read. That moment is the frontier: silence is measured up to it and never up to now, so a backlog
of any length makes nobody late. A frontier that stands still puts the path in doubt.
"""

from dataclasses import dataclass

from nm_bus.messages import PipeState, Seconds


@dataclass(slots=True)
class Pipe:
    """One path by which members are heard. All times are the reader's own."""

    path: str
    limit: Seconds
    frontier: Seconds | None = None
    """The sending time of the newest canary that came back."""
    proven_since: Seconds | None = None
    """Since when the path is proven without a gap: silence before it says nothing."""
    delay: Seconds | None = None
    thrown: int = 0
    _thrown_at: Seconds | None = None
    _trouble: str = ""

    def heard(self, sent: Seconds, now: Seconds) -> None:
        """A canary came back; the path is proven up to the moment it was sent."""
        if self.frontier is not None and sent <= self.frontier:
            return
        late = now - sent > self.limit
        gap = self.frontier is None or sent - self.frontier > self.limit
        self.frontier, self.delay = sent, now - sent
        if late:
            self.proven_since = None
        elif gap or self.proven_since is None:
            self.proven_since = now

    def threw(self, count: int, now: Seconds) -> None:
        """A bound threw away messages: whoever sent them lives, and nobody knows who."""
        self.thrown += count
        self._thrown_at = now
        if self.proven_since is not None:
            self.proven_since = now

    def troubled(self, reason: str) -> None:
        """The carrier says why nothing flows (`blocked: memory alarm`); empty: it flows again."""
        self._trouble = reason

    def doubt(self, now: Seconds) -> str:
        """Why the path is in doubt now, or an empty string when it is proven.

        The words do not change while the doubt is the same, so that a reason is told once.
        """
        if self._trouble:
            return self._trouble
        if self.frontier is None:
            return "no canary has come back yet"
        if now - self.frontier > self.limit:
            return f"no canary came back for over {self.limit:g} s"
        if self._thrown_at is not None and now - self._thrown_at <= self.limit:
            return "a full queue throws messages away"
        return "" if self.proven_since is not None else "canaries return late"

    def silence(self, last_heard: Seconds, now: Seconds) -> Seconds:
        """How long a sender has been proven silent; 0 while the path is in doubt."""
        if self.frontier is None or self.proven_since is None or self.doubt(now):
            return 0.0
        return max(0.0, self.frontier - max(last_heard, self.proven_since))

    def state(self, now: Seconds) -> PipeState:
        """The path as it is told to others."""
        doubt = self.doubt(now)
        return PipeState(self.path, not doubt, doubt, self.delay, self.thrown)
