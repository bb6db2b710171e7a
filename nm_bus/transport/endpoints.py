"""Where a transport connects: brokers in their order; it stays at the first that answers."""

from collections.abc import Sequence

from nm_bus.settings import Broker


class Endpoints:
    """The brokers, and the one whose turn it is."""

    def __init__(self, brokers: Sequence[Broker]) -> None:
        self.point(brokers)

    def point(self, brokers: Sequence[Broker]) -> None:
        """From now on these, the first one first. Raises ValueError when there are none."""
        if not brokers:
            raise ValueError("a transport needs a broker to connect to")
        self._brokers, self._turn = tuple(brokers), 0
        self._reset()

    @property
    def current(self) -> Broker:
        """Where to connect now."""
        return self._brokers[self._turn]

    def reached(self) -> None:
        """The current one answered."""
        self._reset()

    def failed(self, hopeless_after: int | None) -> bool:
        """The current one cannot be reached: the next one's turn.

        `hopeless_after` is after how many failures in a row a person must act (None: never).
        True when that is so at each of them.
        """
        turn = self._turn
        self._failures[turn] += 1
        self._hopeless[turn] = hopeless_after is not None and self._failures[turn] >= hopeless_after
        self._turn = (turn + 1) % len(self._brokers)
        return all(self._hopeless)

    def _reset(self) -> None:
        self._failures = [0] * len(self._brokers)
        self._hopeless = [False] * len(self._brokers)
