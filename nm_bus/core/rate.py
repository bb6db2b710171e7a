"""How fast each principal may go on: a bucket of tokens for each. Pure.

A full bucket is forgotten, so only those are remembered who did something a moment ago.
"""

from dataclasses import dataclass, field

from nm_bus.messages import NodeId, Seconds


@dataclass(slots=True)
class Rate:
    """Lets everyone do `burst` things at once, and `per_second` in the long run."""

    burst: int
    per_second: float
    _buckets: dict[NodeId, tuple[float, Seconds]] = field(default_factory=dict)
    """The tokens that were left, and when."""
    _swept: Seconds = 0.0

    def allows(self, who: NodeId, now: Seconds, cost: float = 1.0) -> bool:
        """Whether one more of this cost is within the rate; what is not costs nothing, so it ends
        by itself."""
        self._sweep(now)
        tokens = self._tokens(who, now)
        if tokens < cost:
            return False
        self._buckets[who] = tokens - cost, now
        return True

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._buckets)

    def _tokens(self, who: NodeId, now: Seconds) -> float:
        left, since = self._buckets.get(who, (self.burst, now))
        return min(self.burst, left + (now - since) * self.per_second)

    def _sweep(self, now: Seconds) -> None:
        """Forget the full ones, once in the time in which an empty one fills."""
        if now - self._swept < self.burst / self.per_second:
            return
        self._swept = now
        full = [who for who in self._buckets if self._tokens(who, now) >= self.burst]
        for who in full:
            del self._buckets[who]
