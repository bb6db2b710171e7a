"""By how much two clocks differ, as it may be told: a clock may say anything, a message may not."""

from nm_bus.messages import Seconds

MOST: Seconds = 31_557_600_000.0
"""A thousand years: the bound of the schemas."""


def told(difference: Seconds) -> Seconds:
    """A difference of clocks, within the bound: beyond it everybody would refuse the message."""
    return max(-MOST, min(difference, MOST))
