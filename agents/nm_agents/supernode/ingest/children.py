"""The ingest processes of a supernode: started, watched, started again with growing pauses."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nm_agents.service import as_parent
from nm_bus.messages import Seconds
from nm_bus.transport.reconnect import Pauses

_LOG = logging.getLogger(__name__)

FIRST_PAUSE: Seconds = 1.0
LONGEST_PAUSE: Seconds = 60.0

STEADY: Seconds = 60.0
"""How long a process must live for its next end to count as the first one."""

PATIENCE: Seconds = 10.0
"""How long a process may take to store what it knows when it is told to end."""


@dataclass(slots=True)
class Child:
    """One ingest process, or the pause before its next start."""

    process: "subprocess.Popen[bytes]"
    started: Seconds
    pauses: Pauses
    again: Seconds | None = None


@dataclass(slots=True)
class Children:
    """Keeps one ingest process for each partition. `jitter` gives numbers from 0 to 1."""

    config: Path
    partitions: int
    jitter: Callable[[], float]
    _children: dict[int, Child] = field(default_factory=dict)

    def watch(self, now: Seconds) -> None:
        """Start what is missing, when its pause is over."""
        for partition in range(self.partitions):
            child = self._children.get(partition)
            if child is None:
                pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE, self.jitter)
                self._children[partition] = Child(self._start(partition), now, pauses)
            elif child.process.poll() is not None:
                if child.again is None:
                    if now - child.started > STEADY:
                        child.pauses.reset()
                    pause, code = child.pauses.next(), child.process.returncode
                    child.again = now + pause
                    _LOG.error(
                        "ingest %d ended with code %s; again in %.1f s", partition, code, pause
                    )
                if now >= child.again:
                    child.process, child.started, child.again = self._start(partition), now, None

    def stop(self) -> None:
        """End all of them for good, and wait until they are gone."""
        self.partitions = 0
        running = [c.process for c in self._children.values() if c.process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                _LOG.warning("ingest process %d did not end in time: killed", process.pid)
                process.kill()
                process.wait()

    def _start(self, partition: int) -> "subprocess.Popen[bytes]":
        words = ["ingest", "run", "--config", str(self.config), "--partition", str(partition)]
        return subprocess.Popen(
            [sys.executable, "-m", "nm_agents.main", *words],
            stdin=subprocess.DEVNULL,
            env=as_parent(os.environ),
        )
