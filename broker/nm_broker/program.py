"""Where RabbitMQ's programs are: installed by the distribution, or a tree unpacked beside it.

Only how to call them is said here; what they are told to do is the private broker's business.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

BIN = Path("/usr/lib/rabbitmq/bin")
"""RabbitMQ's own scripts. The wrappers in /usr/sbin change the user and drop arguments."""


class Program(Protocol):
    """A RabbitMQ that can be run."""

    def missing(self) -> str:
        """What keeps it from running here, as a sentence, or "" when nothing does."""

    def command(self, tool: str, folders: tuple[Path, ...]) -> list[str]:
        """The command that runs a tool, which may need to write to or read from `folders`."""

    def vm(self, pid: int) -> int:
        """The process id of the Erlang machine that the command started as `pid` runs."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The RabbitMQ that the distribution installed. Its start script becomes the machine."""

    folder: Path = BIN

    def missing(self) -> str:
        if (self.folder / "rabbitmq-server").exists():
            return ""
        return f"RabbitMQ is not installed in {self.folder}; install rabbitmq-server"

    def command(self, tool: str, folders: tuple[Path, ...]) -> list[str]:
        return [str(self.folder / tool)]

    def vm(self, pid: int) -> int:
        return pid


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A RabbitMQ of another release, unpacked under `root` and run with its own libraries.

    bubblewrap shows the tree as `/usr`; the network and the process ids stay the host's. A signal
    to bubblewrap would not reach the broker: it is the machine, its child, that must be told.
    """

    root: Path

    def missing(self) -> str:
        if shutil.which("bwrap") is None:
            return "bubblewrap is not installed; install bubblewrap"
        if not (self.root / BIN.relative_to("/") / "rabbitmq-server").exists():
            return f"there is no RabbitMQ under {self.root}"
        return ""

    def command(self, tool: str, folders: tuple[Path, ...]) -> list[str]:
        shown = ["--ro-bind", str(self.root / "usr"), "/usr"]
        for name in ("bin", "sbin", "lib", "lib64"):
            shown += ["--symlink", f"usr/{name}", f"/{name}"]
        for name in ("hosts", "passwd", "group", "nsswitch.conf"):
            shown += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
        for folder in folders:
            shown += ["--bind", str(folder), str(folder)]
        own = ["--proc", "/proc", "--dev", "/dev", "--chdir", os.fspath(folders[0])]
        return ["bwrap", *shown, *own, str(BIN / tool)]

    def vm(self, pid: int) -> int:
        try:
            return next((child.pid for child in psutil.Process(pid).children()), pid)
        except psutil.NoSuchProcess:
            return pid
