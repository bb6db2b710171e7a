"""What `nm-bus bench ledger` found: how long agreeing took, against what the links take. Pure."""

from dataclasses import dataclass, field
from statistics import median, quantiles

from nm_bus.messages import NodeId, Seconds
from nm_lab.bench.aims import Measured

DELAYS_AIM = 5.0
"""The median from put to agreed, in one-way delays, where links take WIDE or more."""

WIDE: Seconds = 0.05


def percentile(values: list[Seconds], percent: int) -> Seconds:
    """A percentile of what was measured, within what was measured."""
    if len(values) == 1:
        return values[0]
    found: float = quantiles(values, n=100, method="inclusive")[percent - 1]
    return found


@dataclass(slots=True)
class DelaySeries:
    """Changes put at one supernode, each after one raw round trip over the same links.

    Since the call of `put`: until it was answered `agreed`, and until the last member applied it.
    """

    at: str
    node: NodeId
    raw: list[Seconds] = field(default_factory=list)
    agreed: list[Seconds] = field(default_factory=list)
    applied: list[Seconds] = field(default_factory=list)

    @property
    def delays(self) -> float:
        """The median from put to agreed, in one-way delays: halves of the raw round trip."""
        return 2 * median(self.agreed) / median(self.raw)


@dataclass(frozen=True, slots=True)
class Phase:
    """One state of the federation. `delay` is what a link takes one way, the machine aside, and
    `rate` how many changes a second were agreed while many were asked for at once."""

    name: str
    delay: Seconds
    series: list[DelaySeries]
    rate: float


@dataclass(frozen=True, slots=True)
class Pause:
    """The longest time between two agreed changes around the death of a supernode."""

    who: str
    seconds: Seconds
    most: Seconds


@dataclass(frozen=True, slots=True)
class AgreementFigures:
    """All of it."""

    supernodes: int
    members: int
    phases: list[Phase]
    pauses: list[Pause]

    def measured(self) -> list[Measured]:
        """Each figure that has an aim, beside it."""
        wide = [
            Measured(f"put at {one.at} to agreed, {phase.name}", one.delays, DELAYS_AIM, "D", True)
            for phase in self.phases
            if phase.delay >= WIDE
            for one in phase.series
        ]
        pauses = [
            Measured(f"pause when {pause.who} dies", pause.seconds, pause.most, "s", most=True)
            for pause in self.pauses
        ]
        return wide + pauses
