"""What was measured beside what is aimed at. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure and its aim: at least, or with `most` at most, so much."""

    name: str
    value: float
    aim: float
    unit: str = ""
    most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the aim is reached."""
        return self.value <= self.aim if self.most else self.value >= self.aim

    @property
    def mark(self) -> str:
        """The verdict in a word."""
        return "ok" if self.reached else "missed"
