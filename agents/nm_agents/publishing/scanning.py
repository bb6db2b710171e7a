"""Looking at a folder of documents: which plain files are there, and what else is in the way.

`<folder>/<component>/<name>`; a name may have folders in it. Nothing is read but names and status,
no link is followed, and hidden and temporary names are passed over.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nm_bus.core.settling import is_temporary
from nm_bus.documents.names import MOST_CHARACTERS, PREFIX, named, why_no_name
from nm_bus.errors import ConfigError

MOST_FILES = 10_000
"""More files than a folder of documents has: it is another folder that was meant."""

REASON = ".refused"
"""How the name of a reason file ends: `.a.xml.refused` lies beside `a.xml`."""

LINK = "is no plain file or folder; links are not followed"

MOST_KEY = 128 + 1 + MOST_CHARACTERS
"""A component and a document's name."""

DEEP = "lies too deep; a document's name has at most 512 characters"

Signature = tuple[int, int, int, int]
"""Inode, size, and when content and inode changed: nobody sets the last one back."""


@dataclass(slots=True)
class Found:
    """What lies in the folder, by the keys that documents there have."""

    files: dict[str, Signature] = field(default_factory=dict)
    flaws: dict[str, str] = field(default_factory=dict)
    """What is no document, and why."""
    components: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    """The keys where folders are."""
    unread: set[str] = field(default_factory=set)
    """The beginnings of the keys of which nothing is known, since a folder cannot be read."""
    reasons: set[str] = field(default_factory=set)
    """The keys that have a reason file."""


def scan(root: Path) -> Found:
    """Look at a folder. Raises OSError when it cannot be read, ConfigError when it is too large."""
    found = Found()
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            _reason(found, entry.name, "")
            if is_temporary(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                found.components.add(entry.name)
                _folder(found, Path(entry.path), f"{entry.name}/")
            elif entry.is_symlink():
                found.flaws[PREFIX + entry.name] = LINK
            else:
                found.flaws[PREFIX + entry.name] = "lies in no component's folder; move it into one"
    return found


def _folder(found: Found, folder: Path, inside: str) -> None:
    found.folders.add(PREFIX + inside.rstrip("/"))
    if len(inside) > MOST_KEY:
        found.flaws[PREFIX + inside.rstrip("/")] = DEEP
        return
    try:
        entries = list(_entries(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        found.unread.add(PREFIX + inside)
        found.flaws[PREFIX + inside.rstrip("/")] = f"cannot be looked at: {error.strerror}"
        return
    for name, status in entries:
        _reason(found, name, inside)
        if not is_temporary(name):
            _entry(found, folder / name, inside + name, status)


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for name in sorted(os.listdir(folder)):  # noqa: PTH208  # names alone are wanted
        try:
            yield name, os.lstat(folder / name)
        except FileNotFoundError:
            continue


def _entry(found: Found, path: Path, name: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        _folder(found, path, f"{name}/")
    elif not stat.S_ISREG(status.st_mode):
        found.flaws[PREFIX + name] = LINK
    elif flaw := why_no_name(*named(PREFIX + name)):
        found.flaws[PREFIX + name] = flaw
    elif len(found.files) == MOST_FILES:
        fix = "give the folder that holds the documents alone"
        raise ConfigError(path.parent, f"more than {MOST_FILES:,} files are here", fix)
    else:
        found.files[PREFIX + name] = _signature(status)


def _signature(status: os.stat_result) -> Signature:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _reason(found: Found, name: str, inside: str) -> None:
    if name.startswith(".") and name.endswith(REASON):
        found.reasons.add(PREFIX + inside + name[1 : -len(REASON)])


def read(path: Path, most: int) -> bytes:
    """A plain file's bytes, at most `most` of them; follows no link and waits for no pipe.

    Raises OSError.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileNotFoundError(path)
        return file.read(most)


def path_of(root: Path, key: str) -> Path:
    """Where a document lies."""
    return root / key.removeprefix(PREFIX)


def reason_path(root: Path, key: str) -> Path:
    """Where the reason lies why a document, or a component, was refused."""
    path = path_of(root, key)
    return path.with_name(f".{path.name}{REASON}")
