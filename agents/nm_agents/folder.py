"""A program's folder: made if need be, proven to be writable, and held by one program alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nm_bus.errors import ConfigError


@contextmanager
def own_folder(folder: Path, name: str = "lock") -> Iterator[None]:
    """Make a folder if need be, and hold the lock of this name in it: one program a lock.

    The lock is the system's, so it ends with the process, however that ends.
    """
    writable(folder)
    lock = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        what = "another program of this kind runs on this folder"
        raise ConfigError(folder, what, "stop it, or give this one a folder of its own") from None
    else:
        yield
    finally:
        os.close(lock)


def writable(folder: Path) -> None:
    """Make a folder if it is not there; raises ConfigError when files cannot be made in it."""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"writable\n")
        probe.unlink()
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise ConfigError(folder, what, "see its owner, and the room on its disk") from None
