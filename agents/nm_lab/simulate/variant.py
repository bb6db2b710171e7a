"""What a simulated supernode is made of: the sound parts, or one with a bug planted in it."""

from collections.abc import Callable
from dataclasses import dataclass

from nm_bus.core.ledger.agreement import Agreement
from nm_bus.messages import VoterId
from nm_lab.simulate.node import SimulatedNode
from nm_lab.simulate.tally import Replica, TallyMachine

Genesis = Callable[[frozenset[VoterId], frozenset[VoterId]], Replica]
"""Makes a machine from its first voters and standbys."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What a run is made of: its supernodes', and what is true of what was decided.

    `kind` is the kind of runs in which a bug shows best.
    """

    agreement: type[Agreement] = Agreement
    node: type[SimulatedNode] = SimulatedNode
    tally: Genesis = TallyMachine
    truth: Genesis = TallyMachine
    kind: str = "plain"


SOUND = Variant()
