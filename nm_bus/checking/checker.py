"""The parent's side of the child process: it is started when it is needed, and replaced when ended.

For one thread at a time. What itself uses more than a limit is refused with a sentence. That no
process can be started, or that it was killed or got no processor time, is an error of this host,
and says nothing about what was to be checked.
"""

import math
import os
import signal
import socket
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import msgspec

from nm_bus.checking.check import Check, OfDocument, is_needed
from nm_bus.checking.limits import NO_MEMORY, CheckLimits
from nm_bus.documents import Document, why_not
from nm_bus.errors import NmBusError

_encoder = msgspec.msgpack.Encoder()


class NoCheckError(NmBusError):
    """The check was not made: its process did not start, or was ended by something else than the
    check. The caller tries again later, or elsewhere."""


@dataclass(slots=True)
class CheckerProcess:
    """A process that runs, and how many checks it made."""

    process: "subprocess.Popen[bytes]"
    line: "Connection[bytes, bytes]"
    checks: int = 0

    @classmethod
    def start(cls, limits: CheckLimits) -> "CheckerProcess":
        """Start one and wait until it is ready. Raises NoCheckError."""
        line, theirs = Pipe()
        # let a write fail that takes so long: a process that is stopped reads nothing.
        fraction, whole = math.modf(limits.patience)
        with socket.socket(fileno=os.dup(line.fileno())) as same:
            limit = struct.pack("ll", int(whole), int(fraction * 1e6))
            same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        words = [str(theirs.fileno()), msgspec.json.encode(limits).decode()]
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nm_bus.checking.child", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            line.close()
            raise NoCheckError(f"{sys.executable} cannot be run: {error.strerror}") from None
        finally:
            theirs.close()
        child = cls(process, line)
        if child.answer(limits.start) is None:
            child.end()
            raise NoCheckError(f"the process that checks did not start (code {process.returncode})")
        return child

    def is_fit(self, most: int) -> bool:
        """Whether it still runs, and made fewer checks than that."""
        return self.checks < most and self.process.poll() is None

    def ask(self, check: Check, patience: float) -> str | None:
        """What is wrong; None when the process ended, or says nothing for so long."""
        self.checks += 1
        try:
            self.line.send_bytes(_encoder.encode(check))
        except OSError:
            return None
        return self.answer(patience)

    def answer(self, patience: float) -> str | None:
        """The next that the process says; None when it ended, or says nothing for so long."""
        with suppress(OSError, EOFError):
            if self.line.poll(patience):
                return self.line.recv_bytes().decode()
        return None

    def end(self) -> int:
        """End it, whatever it does; gives the code with which it ended."""
        self.line.close()
        # whose end of the socket is closed already has its code, which this does not change
        self.process.kill()
        return self.process.wait()


@dataclass(slots=True, weakref_slot=True)
class Checker:
    """Checks in a child process. `close` ends it; so does the end of this object or process."""

    limits: CheckLimits = field(default_factory=CheckLimits)
    _child: CheckerProcess | None = None
    _end: Callable[[], object] = lambda: None
    """Ends the process, once; also called when nobody has this object any more."""

    def why_not(self, check: Check) -> str:
        """What is wrong, in one sentence without its subject; empty when nothing is.

        What was not made is tried once more, by a new process. Raises NoCheckError.
        """
        try:
            return self.once(check)
        except NoCheckError:
            return self.once(check)

    def once(self, check: Check) -> str:
        """The same, tried once."""
        if not is_needed(check):
            return ""
        child = self._ready()
        said = child.ask(check, self.limits.patience)
        if said is not None:
            return said
        code = child.end()
        self.close()
        # the limit that a process met, by the code with which it ended; or raises
        # NoCheckError.
        if code == -signal.SIGXCPU:
            return f"takes too long to check: more than {self.limits.seconds} s; make it simpler"
        if code == NO_MEMORY:
            return "needs too much memory to be checked; make it simpler"
        within = f"{self.limits.patience:g} s"
        raise NoCheckError(f"the process that checks was killed, or silent for {within} ({code})")

    def why_no_document(self, document: Document, *, forced: bool = False) -> str:
        """Why a document may not be proposed, as `nm_bus.documents.why_not`, under limits."""
        return why_not(document, forced=forced, flaw=self._flaw)

    def _flaw(self, document: Document) -> str:
        return self.why_not(OfDocument(document.content, document.media_type, document.schema))

    def close(self) -> None:
        """End the process, if there is one."""
        self._child = None
        self._end()

    def _ready(self) -> CheckerProcess:
        child = self._child
        if child is not None and child.is_fit(self.limits.checks):
            return child
        self.close()
        self._child = child = CheckerProcess.start(self.limits)
        self._end = weakref.finalize(self, child.end)
        return child
