"""One folder of documents: each whole at any moment, the version before it kept, nothing outside.

Below the folder no symbolic link is followed, so that who may write there cannot lead the agent
elsewhere. A half-written file has a hidden name until it is safe on the disk.
"""

import errno
import grp
import logging
import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nm_bus.documents.names import why_no_name
from nm_bus.errors import ConfigError
from nm_bus.settings import DocumentsSettings

LOGGER = logging.getLogger(__name__)

NO_LINKS = frozenset(
    {
        errno.EPERM,  # another's file, by fs.protected_hardlinks; or FAT, BeeGFS
        errno.EACCES,
        errno.EMLINK,
        errno.ENOSYS,  # FUSE
        errno.ENOTSUP,
        errno.EXDEV,  # overlays
    }
)
"""Where a document cannot be linked to its former name, it is copied."""

UNCHANGED = -1
"""Stands for a user or group that is to stay what it is."""


@dataclass(frozen=True, slots=True)
class DocumentFolder:
    """Where documents are written, for whom, and with which permissions."""

    path: Path
    user: int = UNCHANGED
    group: int = UNCHANGED
    mode: int = 0o644

    def write(self, name: str, content: bytes) -> bool:
        """Make a document be so; False when it is so already. Its former version is kept.

        Raises OSError, and then the document is what it was; ValueError for a name that is none.
        """
        with self._holding(name) as (folder, last):
            if self._is_so(folder, last, content):
                return False
            half = f".{last}.new"
            try:
                self._fill(folder, half, content)
                _keep(folder, last, self.path_of(name))
                os.rename(half, last, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                _drop(folder, half)
                raise
            os.fsync(folder)
            return True

    def remove(self, name: str) -> bool:
        """Take a document away, and keep it as its former version; False when there was none."""
        try:
            with self._holding(name, make=False) as (folder, last):
                os.rename(last, f".{last}.previous", src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
                return True
        except FileNotFoundError:
            return False

    def holds(self, name: str) -> bool:
        """Whether the document is there."""
        try:
            with self._holding(name, make=False) as (folder, last):
                return stat.S_ISREG(os.lstat(last, dir_fd=folder).st_mode)
        except (OSError, ValueError):
            return False

    def path_of(self, name: str) -> Path:
        """Where a document is."""
        return self.path / name

    @contextmanager
    def _holding(self, name: str, *, make: bool = True) -> Iterator[tuple[int, str]]:
        """The folder that holds a document, opened, and the document's name in it."""
        if flaw := why_no_name("c", name):
            raise ValueError(flaw)
        *parts, last = name.split("/")
        if make:
            self.path.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts:
                outer, folder = folder, self._step(folder, part, make=make)
                os.close(outer)
            yield folder, last
        finally:
            os.close(folder)

    def _step(self, folder: int, part: str, *, make: bool) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            return os.open(part, flags, dir_fd=folder)
        except FileNotFoundError:
            if not make:
                raise
        os.mkdir(part, 0o755, dir_fd=folder)
        inner = os.open(part, flags, dir_fd=folder)
        os.fchown(inner, self.user, self.group)
        return inner

    def _is_so(self, folder: int, name: str, content: bytes) -> bool:
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            # a symbolic link, or a file that others may not read, is replaced
            if error.errno in (errno.ELOOP, errno.EACCES):
                return False
            raise
        try:
            status = os.fstat(file)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
            return (
                stat.S_ISREG(status.st_mode)
                and status.st_size == len(content)
                and stat.S_IMODE(status.st_mode) == self.mode
                and self.user in (UNCHANGED, status.st_uid)
                and self.group in (UNCHANGED, status.st_gid)
                and os.read(file, len(content) + 1) == content
            )
        finally:
            os.close(file)

    def _fill(self, folder: int, name: str, content: bytes) -> None:
        _drop(folder, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "wb") as writing:
            writing.write(content)
            writing.flush()
            os.fchown(writing.fileno(), self.user, self.group)
            os.fchmod(writing.fileno(), self.mode)
            os.fsync(writing.fileno())


def folder_of(settings: DocumentsSettings, config: Path) -> DocumentFolder:
    """The folder of these settings; raises ConfigError for a user or group that there is not."""
    return DocumentFolder(
        settings.folder,
        _number(config, "owner", settings.owner, lambda name: pwd.getpwnam(name).pw_uid),
        _number(config, "group", settings.group, lambda name: grp.getgrnam(name).gr_gid),
        int(settings.mode, 8),
    )


def _number(config: Path, key: str, name: str, find: Callable[[str], int]) -> int:
    if not name:
        return UNCHANGED
    try:
        return find(name)
    except KeyError:
        what = f"documents: {key} is {name!r}, whom this host does not know"
        raise ConfigError(config, what, "add it to the host, or name another") from None


def _keep(folder: int, name: str, path: Path) -> None:
    """Keep a document as its former version, without a moment in which it is not there. It is a
    convenience: where it cannot be kept, that is logged, and the new version never waits for it."""
    former = f".{name}.former"
    try:
        _drop(folder, former)
        if _doubled(folder, name, former):
            os.rename(former, f".{name}.previous", src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        LOGGER.warning("%s: its former version cannot be kept: %s", path, error.strerror)
        with suppress(OSError):
            _drop(folder, former)


def _doubled(folder: int, name: str, former: str) -> bool:
    """Give a plain file a second name, or copy it; False when there is none."""
    try:
        os.link(name, former, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _copied(folder, name, former)
    return True


def _copied(folder: int, name: str, copy: str) -> bool:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(source, "rb") as reading:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            return False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(copy, flags, 0o600, dir_fd=folder), "wb") as writing:
            shutil.copyfileobj(reading, writing)
    return True


def _drop(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
