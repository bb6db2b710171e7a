"""What a run of tests left behind: processes that live in its folders, and files in them."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from nm_bus.messages import Seconds

ENDING: Seconds = 30.0
"""How long a process that was ended may take to be gone."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a run of tests works: `temporary` must be empty in the end, `kept` may hold files."""

    temporary: Path
    kept: Path

    def left(self) -> list[str]:
        """Everything that was left, in words. Processes are given time to end, then killed."""
        deadline = time.monotonic() + ENDING
        while (processes := list(self._processes())) and time.monotonic() < deadline:
            time.sleep(0.1)
        said = [f"process {one.pid}: {one.info['cmdline']}" for one in processes]
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return said + [f"file {path}" for path in sorted(self.temporary.iterdir())]

    def _processes(self) -> Iterator[psutil.Process]:
        """Other processes whose home, folder or command line is in one of the folders."""
        for process in psutil.process_iter(["cmdline", "cwd", "environ", "status"]):
            if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
                continue
            home = (process.info["environ"] or {}).get("HOME", "")
            words = (*(process.info["cmdline"] or ()), process.info["cwd"] or "", home)
            if any(str(folder) in word for word in words for folder in self._folders):
                yield process

    @property
    def _folders(self) -> tuple[Path, Path]:
        return self.temporary, self.kept
