"""Waiting for a condition, as long as any machine may need."""

import time
from collections.abc import Callable
from typing import Any

EVENTUALLY = 90.0


def until(condition: Callable[[], Any], what: str, limit: float = EVENTUALLY) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"it never came true: {what}"
        time.sleep(0.1)
