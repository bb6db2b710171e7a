"""The loop's door for other threads and for signal handlers."""

import os
import threading
from contextlib import suppress
from pathlib import Path

from nm_bus.transport.loop import Loop


def test_another_thread_ends_a_loop_that_waits() -> None:
    loop = Loop()
    asking = threading.Timer(0.05, loop.call_threadsafe, [loop.stop])
    asking.start()
    loop.run(limit=30)
    asking.join(30)
    loop.close()


def test_a_call_that_comes_after_the_end_is_not_made_and_does_no_harm() -> None:
    made: list[str] = []
    loop = Loop()
    loop.close()
    loop.call_threadsafe(lambda: made.append("late"))
    assert made == []


def test_a_late_call_writes_into_no_file_that_was_opened_since(tmp_path: Path) -> None:
    loop = Loop()
    door = loop._door
    loop.close()
    assert door is not None
    with (tmp_path / "somebody's").open("wb") as file:
        os.dup2(file.fileno(), door)
        loop.call_threadsafe(loop.stop)
    assert (tmp_path / "somebody's").read_bytes() == b""
    with suppress(OSError):
        os.close(door)


def test_a_loop_can_be_closed_twice() -> None:
    loop = Loop()
    loop.close()
    loop.close()
