"""What this host grants a program: open files, and a folder with room in it."""

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from nm_agents.cli.doctor.finding import Finding, fail, ok, warn
from nm_agents.cli.screen.figures import size
from nm_agents.folder import check_files, nearest, user_name, writable
from nm_bus.errors import ConfigError

ROOM_WARN, ROOM_FAIL = 1_000_000_000, 50_000_000


def examine_host(folder: Path, files: int) -> Iterator[Finding]:
    """PageView at the limits of whoever runs this. `files` is how many the program may need."""
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], files)
    yield from examine_folder(folder, "folder", ours=True)


def open_files(limit: int, needed: int) -> Finding:
    """Whether enough files may be open at once."""
    text = f"{'any number of' if limit == resource.RLIM_INFINITY else limit} files may be open"
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return ok("limits", text)
    return warn("limits", text, f"set LimitNOFILE={needed} in the unit, or `ulimit -n {needed}`")


def examine_folder(folder: Path, about: str, *, ours: bool = False) -> Iterator[Finding]:
    """Try to write in a folder, or see that it could be made. `ours`: it is the program's own, so
    its files there must be such that it can open them."""
    try:
        if folder.exists():
            writable(folder)
            if ours:
                check_files(folder)
            yield room(folder, shutil.disk_usage(folder).free, about)
        else:
            yield _to_be_made(folder, about)
    except ConfigError as error:
        yield fail(about, f"{error.where}: {error.what}", error.fix)
    except OSError as error:
        me = user_name(os.geteuid())
        yield fail(about, f"{folder}: {error.strerror}", f"let {me} enter the folders above it")


def _to_be_made(folder: Path, about: str) -> Finding:
    above = nearest(folder)
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        return room(folder, shutil.disk_usage(above).free, about)
    me = user_name(os.geteuid())
    what = f"{folder}: is not there, and {me} may not make it in {above}"
    return fail(about, what, f"install -d -o {me} {folder}")


def room(folder: Path, free: int, about: str = "folder") -> Finding:
    """Whether a folder's disk has room."""
    text = f"{folder}: {size(free)} free"
    fix = "make room on this disk"
    if free < ROOM_FAIL:
        return fail(about, text, fix)
    return warn(about, text, fix) if free < ROOM_WARN else ok(about, text)
