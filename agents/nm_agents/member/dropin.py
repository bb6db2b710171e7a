"""The drop-in folder: files of metrics are taken once they rest, and removed once they are safe.

A file is taken by renaming it to a hidden name, so that a writer who puts a newer one in its place
loses nothing, and an agent that dies takes it up again at its next start. Whatever cannot be read
goes to `quarantine/` with the reason beside it. Whoever may write here is not trusted: only plain
files are opened, and at most so many bytes of them are read.
"""

import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from nm_agents.member.metricfile import MetricFile, read
from nm_agents.member.plugins import Timers
from nm_agents.noticing import begin_notices
from nm_bus.messages import Seconds

LOGGER = logging.getLogger(__name__)

RESTED = 1.0
"""A file that has not changed for so long is taken."""

GIVEN_UP = 10.0
"""A file that is broken and has not changed for so long will not be corrected by its writer."""

RESCAN = 15.0
"""The folder is looked at so often even when nobody told of a change: notices can be missed."""

FILES_A_SCAN = 100
"""How many files are handled in one turn of the loop; the others in the next turns."""

LISTED = 10_000
"""How many names of a folder are looked at; the others wait until these are gone."""

KEPT_IN_QUARANTINE = 100

NAME_BYTES = 180
"""How much of a file's name is kept when it is renamed; a name may have 255 bytes."""

TAKEN = ".taken-"
UNFINISHED = (".tmp", ".part", "~")
QUARANTINE = "quarantine"
REASON = ".reason"

Durable = Callable[[bool], None]
Offer = Callable[[MetricFile, Seconds, Durable], None]
Signature = tuple[int, int, int, int]


@dataclass(slots=True)
class SeenFile:
    """A file as it was last seen, and since when it looks like that."""

    signature: Signature
    since: Seconds


class DropIn:
    """Watches one folder and offers what is found; `offer` says when it is safe."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        timers: Timers,
        offer: Offer,
        wall: Callable[[], Seconds] = time.time,
    ) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._timers, self._offer, self._wall = timers, offer, wall
        self._seen: dict[str, SeenFile] = {}
        self._offered: set[str] = set()
        self._told = False
        self._unmoved: set[str] = set()
        self.quarantined = 0

    def begin(self) -> None:
        """Look now, and again and again."""
        self._timers.later(RESCAN, self.begin)
        self.scan()

    def changed(self) -> None:
        """Something happened in the folder: look once it rests. Many notices are one look."""
        if not self._told:
            self._told = True
            self._timers.later(RESTED, self._look_again)

    def scan(self) -> None:
        """Look at every file, take those that rest, and come back for the others."""
        now, found, handled = self._timers.now(), set(), 0
        for name, status in self._listed():
            found.add(name)
            if name in self._offered or name in self._unmoved:
                continue
            rests = self._rests(name, status, now)
            if rests >= RESTED and handled < FILES_A_SCAN:
                handled += 1
                self._handle(name, status, rests)
            else:
                self.changed()
        self._seen = {name: seen for name, seen in self._seen.items() if name in found}
        self._unmoved &= found

    def _look_again(self) -> None:
        self._told = False
        self.scan()

    def _listed(self) -> Iterator[tuple[str, os.stat_result]]:
        try:
            with os.scandir(self._folder) as entries:
                names = [e.name for e in islice(entries, LISTED) if _wanted(e.name)]
        except OSError as error:
            LOGGER.warning("%s: cannot be looked at: %s", self._folder, error.strerror)
            return
        for name in names:
            with suppress(FileNotFoundError):
                status = os.lstat(self._folder / name)
                if not stat.S_ISDIR(status.st_mode):
                    yield name, status

    def _rests(self, name: str, status: os.stat_result, now: Seconds) -> Seconds:
        """For how long a file has looked as it does. One that was taken had rested before."""
        # the time of the last change of any kind: a date can be set back
        signature = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        seen = self._seen.get(name)
        if seen is None or seen.signature != signature:
            since = now - RESTED if name.startswith(TAKEN) else now
            self._seen[name] = seen = SeenFile(signature, since)
        return now - seen.since

    def _handle(self, name: str, status: os.stat_result, rests: Seconds) -> None:
        try:
            if not stat.S_ISREG(status.st_mode):
                self._quarantine(name, "not a plain file")
            elif status.st_size > self._max_bytes:
                self._quarantine(
                    name, f"{status.st_size} bytes where {self._max_bytes} are allowed"
                )
            else:
                self._take(name, status, rests)
        except FileNotFoundError:
            return
        except OSError as error:
            self._unmoved.add(name)
            where = str(self._folder / name)
            LOGGER.warning("%r: cannot be taken: %s; it is left there", where, error.strerror)

    def _take(self, name: str, status: os.stat_result, rests: Seconds) -> None:
        body = self._body(name)
        metrics = read(body) if len(body) <= self._max_bytes else "it grows while it is read"
        if isinstance(metrics, str):
            if rests >= GIVEN_UP:
                self._quarantine(name, metrics)
            else:
                self.changed()
            return
        taken = self._hidden(name, status)
        if taken is not None:
            self._offered.add(taken)
            self._offer(metrics, self._measured(status), partial(self._safe, taken))

    def _measured(self, status: os.stat_result) -> Seconds:
        """When, by the agent's steady clock. A file's date and its age are the wall clock's, which
        may have been set since the agent was started; a date in the future is now."""
        return self._timers.now() - max(0.0, self._wall() - status.st_mtime)

    def _hidden(self, name: str, status: os.stat_result) -> str | None:
        """Rename a file out of its writer's way; None when it is no more the one that was read."""
        if name.startswith(TAKEN):
            return name
        taken = f"{TAKEN}{status.st_ino}-{ending(name)}"
        (self._folder / name).rename(self._folder / taken)
        now_there = os.lstat(self._folder / taken)
        before = (status.st_ino, status.st_size, status.st_mtime_ns)
        if (now_there.st_ino, now_there.st_size, now_there.st_mtime_ns) == before:
            return taken
        self.changed()
        return None

    def _safe(self, taken: str, durable: bool) -> None:
        """Forget a file whose metrics are safe; one whose are not is offered again later."""
        self._offered.discard(taken)
        if durable:
            self._seen.pop(taken, None)
            (self._folder / taken).unlink(missing_ok=True)

    def _body(self, name: str) -> bytes:
        """At most one byte more than allowed; never follows a link nor waits for a pipe."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(self._folder / name, flags)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileNotFoundError(name)
            return file.read(self._max_bytes + 1)

    def _quarantine(self, name: str, reason: str) -> None:
        """A rename moves a link or a pipe itself and opens nothing."""
        folder = self._folder / QUARANTINE
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "its quarantine is a link")
        _make_room(folder)
        plain = name.removeprefix(TAKEN).replace(REASON, "_reason")
        moved = folder / f"{self._timers.now():.6f}-{ending(plain)}"
        (self._folder / name).rename(moved)
        self.quarantined += 1
        with suppress(OSError):
            moved.with_name(moved.name + REASON).write_text(reason + "\n")
        LOGGER.warning("%r: %s; moved to %r", str(self._folder / name), reason, str(moved))


def watch(folder: Path, changed: Callable[[], None]) -> Callable[[], None]:
    """Call `changed`, from another thread, when something happens in a folder; gives the way to end
    it. Where the system has no watches left, the folder is only looked at now and then."""
    try:
        return begin_notices(folder, changed)
    except (OSError, RuntimeError) as error:  # no watches, or no threads left
        LOGGER.warning("%s: no notice of changes (%s); looked at each %g s", folder, error, RESCAN)
        return _nothing


def _nothing() -> None:
    """Nothing was begun, so nothing is to end."""


def _wanted(name: str) -> bool:
    if name.startswith(TAKEN):
        return True
    return not name.startswith(".") and not name.endswith(UNFINISHED)


def ending(name: str) -> str:
    """The end of a file's name, so long that more can stand before it: systems count bytes."""
    return os.fsdecode(os.fsencode(name)[-NAME_BYTES:])


def _make_room(folder: Path) -> None:
    """Drop the oldest files and their reasons: names begin with the time. Folders are not ours."""
    names = sorted(
        path.name for path in folder.iterdir() if path.suffix != REASON and not _is_folder(path)
    )
    for name in names[: max(0, len(names) - KEPT_IN_QUARANTINE + 1)]:
        (folder / name).unlink(missing_ok=True)
        (folder / (name + REASON)).unlink(missing_ok=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
