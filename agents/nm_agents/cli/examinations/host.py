"""What this host grants a program: open files, and a folder with room in it."""

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from nm_agents.cli.examinations.finding import Finding, fail, ok, warn
from nm_agents.cli.figures import size

ROOM_WARN, ROOM_FAIL = 1_000_000_000, 50_000_000


def examine_host(folder: Path, files: int) -> Iterator[Finding]:
    """Look at the limits of whoever runs this. `files` is how many the program may need."""
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], files)
    yield from _folder(folder)


def open_files(limit: int, needed: int) -> Finding:
    """Whether enough files may be open at once."""
    text = f"{'any number of' if limit == resource.RLIM_INFINITY else limit} files may be open"
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return ok("limits", text)
    return warn("limits", text, f"set LimitNOFILE={needed} in the unit, or `ulimit -n {needed}`")


def _folder(folder: Path) -> Iterator[Finding]:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield fail("folder", f"{there}: cannot be written to", "give it to the program's user")
        return
    yield room(folder, shutil.disk_usage(there).free)


def room(folder: Path, free: int) -> Finding:
    """Whether a folder's disk has room."""
    text = f"{folder}: {size(free)} free"
    mend = "make room on this disk"
    if free < ROOM_FAIL:
        return fail("folder", text, mend)
    return warn("folder", text, mend) if free < ROOM_WARN else ok("folder", text)
