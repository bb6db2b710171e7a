"""How far a ledger is, as its file says."""

import msgspec

from nm_bus.messages import Micros, VoterId


class Position(msgspec.Struct, frozen=True):
    """How far it is; slot 0 is the beginning, which a newcomer lacks.

    `clock` is the last moment of its hybrid clock, `floor` what is said of it in
    `nm_bus.core.ledger.answers`. `kept_from` has of each group of feeds that is not whole the
    revision after which it is.
    """

    height: int = -1
    author: VoterId = ""
    time: Micros = 0
    revision: int = 0
    head: str = ""
    clock: Micros = 0
    floor: int = 0
    kept_from: dict[str, int] = {}

    @property
    def feed_from(self) -> int:
        """The revision after which every update is kept."""
        return max(self.kept_from.values(), default=0)
