"""A child that does not outlive us, however we end: also when we are killed and can do nothing.

A shell waits at the end of a pipe that only we hold. When we die the pipe ends, and it ends the
child. That is no code between fork and exec, where threads make it unsafe, and unlike the kernel's
signal at a parent's death it can ask first and insist later.
"""

import math
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nm_bus.messages import Seconds

WATCH = """
read -r child || exit 0
read -r word && exit 0
kill -s TERM "$child"
left=$1
while kill -s 0 "$child" && [ "$left" -gt 0 ]; do sleep 1; left=$((left - 1)); done
kill -s KILL "$child"
"""
"""Gets the child's number, then a word once the child has ended; no word means that we died."""


@contextmanager
def lifeline(grace: Seconds) -> Iterator["Lifeline"]:
    """Within, a child that is tied ends with us: by SIGTERM, and by SIGKILL after `grace`."""
    watch = subprocess.Popen(
        ["/bin/sh", "-c", WATCH, "sh", str(math.ceil(grace))],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Lifeline(watch)
    finally:
        with suppress(BrokenPipeError):
            watch.communicate(b"ended\nended\n")


class Lifeline:
    """The way to the shell that watches us."""

    def __init__(self, watch: "subprocess.Popen[bytes]") -> None:
        self._watch = watch

    def tie(self, child: "subprocess.Popen[bytes]") -> None:
        """From now on, and until the lifeline's end, this child ends when we do."""
        assert self._watch.stdin is not None
        with suppress(BrokenPipeError):
            self._watch.stdin.write(b"%d\n" % child.pid)
            self._watch.stdin.flush()
