"""A program's folder: made if need be, proven to be writable, and held by one program alone."""

import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nm_bus.errors import ConfigError

ROOT = 0

OURS = (
    *("*.db", "*.db-*", "*.sqlite", "*.sqlite-*", "*.inhand"),
    *("*.lock", ".*.lock", "lock", ".nm-bus-*"),
)
"""What a program makes in its folder and must be able to open again."""


@contextmanager
def own_folder(folder: Path, name: str = "lock") -> Iterator[None]:
    """Make a folder if need be, and hold the lock of this name in it: one program a lock.

    The lock is the system's, so it ends with the process, however that ends. Raises ConfigError
    for a folder of another user's, and for files in it that this user cannot use.
    """
    check_owner(folder)
    writable(folder)
    check_files(folder)
    lock = _opened(folder / name)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        what = "another program of this kind runs on this folder"
        raise ConfigError(folder, what, "stop it, or give this one a folder of its own") from None
    else:
        yield
    finally:
        os.close(lock)


def check_owner(folder: Path) -> None:
    """Raise ConfigError when root would leave files in a folder, or below one, of another user.

    The program of that user could not open them later. Root is refused rather than turned into
    that user: a certificate or a check that only root can read would fail in other places.
    """
    if os.geteuid() != ROOT:
        return
    there = nearest(folder)
    owner = there.stat().st_uid
    if owner != ROOT:
        name = user_name(owner)
        fix = f"run it as that user, e.g. runuser -u {name} -- nm-bus ..."
        raise ConfigError(there, f"this folder belongs to {name}, not to root", fix)


def nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    places = (folder.absolute(), *folder.absolute().parents)
    # unlike Path.exists, this takes what may not be looked at for what is not there
    return next(path for path in places if os.path.exists(path))  # noqa: PTH110


def check_files(folder: Path) -> None:
    """Raise ConfigError when files of the program are there which its user may not open."""
    for pattern in OURS:
        for path in folder.glob(pattern):
            if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
                name = user_name(os.geteuid())
                what = f"belongs to {user_name(path.stat().st_uid)}, and {name} cannot use it"
                raise ConfigError(path, what, f"chown -R {name} {folder}")


def check_owners(folder: Path) -> None:
    """Raise ConfigError when something in a folder, or one below, is another user's.

    For a folder of RabbitMQ's, which says only `eacces` then.
    """
    me = os.geteuid()
    for pattern in ("*", "*/*"):
        for path in folder.glob(pattern):
            owner = path.lstat().st_uid
            if owner != me:
                what = f"belongs to {user_name(owner)}, and this program runs as {user_name(me)}"
                raise ConfigError(path, what, f"chown -R {user_name(me)} {folder}")


def user_name(uid: int) -> str:
    """The name of a user; its number where the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def writable(folder: Path) -> None:
    """Make a folder if it is not there; raises ConfigError when files cannot be made in it."""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError(folder, "is a file, not a folder", "give another, or remove it") from None
    except OSError as error:
        what = f"cannot be made or entered: {error.strerror}"
        fix = f"install -d -o {user_name(os.geteuid())} {folder}"
        raise ConfigError(folder, what, fix) from None
    try:
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"writable\n")
        probe.unlink()
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise ConfigError(folder, what, "see its owner, and the room on its disk") from None


def _opened(lock: Path) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        what = f"cannot be opened: {error.strerror}"
        raise ConfigError(lock, what, "see its owner, and the room on its disk") from None
