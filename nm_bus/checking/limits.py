"""What one check may use. One that needs more is refused, so that it does not delay the others."""

import msgspec

NO_MEMORY = 77
"""With this code the child process ends when a check needs more memory than it may have."""


class CheckLimits(msgspec.Struct, frozen=True):
    """The limits of a child process and of its checks."""

    seconds: int = 1
    """Of processor time, for one check."""
    patience: float = 10.0
    """Seconds by the clock, for one check. Whose is over was not made: the machine is too busy.
    Ten times the other, so that a check that is refused on one machine is refused on a busy one."""
    start: float = 20.0
    """Seconds by the clock, until the process is ready for its first check."""
    memory: int = 512 * 1024 * 1024
    """Bytes that the process may address."""
    checks: int = 1_000
    """After so many a new process takes the place of one whose memory may have grown."""
