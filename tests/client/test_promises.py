"""The fake keeps what every client promises; the real one does in `tests/scenarios`."""

from .promises import Promises, component

__all__ = ["component"]


class TestFake(Promises):
    """A client of a project in memory."""
