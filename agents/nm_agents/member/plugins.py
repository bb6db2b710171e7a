"""Running a Nagios plugin without waiting for it: no shell, no thread, a limit on everything.

The program's loop looks at the process now and then; between two looks nothing is held up. A
plugin that takes too long is killed with all its children: so it leads a group of its own.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import IO, Protocol

from nm_bus.core.nagios import PluginVerdict, failed, verdict
from nm_bus.messages import Seconds
from nm_bus.transport.base import Timer

OUTPUT_BYTES = 64 * 1024
"""How much of a plugin's output is kept; the rest is read and thrown away."""

FIRST_LOOK, LAST_LOOK = 0.02, 0.25
"""The pauses between looks: short for a quick plugin, longer for a slow one."""

READS_A_LOOK = 16
"""A plugin that prints without end must not keep the loop to itself."""

Told = Callable[[PluginVerdict], None]
Judge = Callable[[int, str, str], PluginVerdict]
"""Makes a verdict of an exit code and what was printed to standard output and error."""


class Timers(Protocol):
    """The part of a transport that runs need: its clock and its timers."""

    def now(self) -> Seconds: ...

    def later(self, delay: Seconds, call: Callable[[], None]) -> Timer: ...


class Run(Protocol):
    """A plugin that was started."""

    @property
    def gone(self) -> bool:
        """Whether its process is no more."""

    def kill(self) -> None:
        """End it and its children at once; nobody is told a verdict."""


class PluginRun:
    """One run of a plugin's command. `told` hears the verdict once, later, on the loop."""

    def __init__(
        self,
        command: tuple[str, ...],
        timeout: Seconds,
        timers: Timers,
        told: Told,
        *,
        environment: Mapping[str, str],
        judge: Judge,
    ) -> None:
        self._timers, self._told, self._timeout = timers, told, timeout
        self._judge = judge
        self._deadline = timers.now() + timeout
        self._pause = FIRST_LOOK
        self._process = _start(command, environment)
        self._output = OutputPipe(self._process.stdout)
        self._errors = OutputPipe(self._process.stderr)
        timers.later(FIRST_LOOK, self._look)

    @property
    def gone(self) -> bool:
        """Whether its process is no more. A killed one may hang in the kernel for a while."""
        return self._process.returncode is not None

    def kill(self) -> None:
        """End it and its children at once; nobody is told a verdict."""
        self._told = _nobody
        if not self.gone:
            self._kill_group()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
            self._close()

    def _look(self) -> None:
        if self.gone:
            return
        code = self._process.poll()
        if code is not None:
            self._read()
            self._close()
            self._tell(self._judge(code, self._output.text, self._errors.text))
            return
        self._read()
        if self._timers.now() >= self._deadline:
            self._kill_group()
            self._tell(failed(f"timed out after {self._timeout:g} s and was killed"))
        self._pause = min(LAST_LOOK, self._pause * 1.5)
        self._timers.later(self._pause, self._look)

    def _read(self) -> None:
        self._output.read()
        self._errors.read()

    def _kill_group(self) -> None:
        """Safe while the process is not reaped: its number cannot be another's yet."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _close(self) -> None:
        self._output.close()
        self._errors.close()

    def _tell(self, result: PluginVerdict) -> None:
        told, self._told = self._told, _nobody
        told(result)


class OutputPipe:
    """What a plugin prints on one of its outputs, as far as it is kept."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._kept = bytearray()
        os.set_blocking(pipe.fileno(), False)

    @property
    def text(self) -> str:
        """What was kept."""
        return self._kept.decode(errors="replace")

    def read(self) -> None:
        """Read what is there, at most so much; never waits."""
        if self._pipe.closed:
            return
        with suppress(BlockingIOError):
            for _ in range(READS_A_LOOK):
                piece = os.read(self._pipe.fileno(), OUTPUT_BYTES)
                self._kept += piece[: OUTPUT_BYTES - len(self._kept)]
                if not piece:
                    return

    def close(self) -> None:
        """Read no more."""
        self._pipe.close()


class NeverRun:
    """A plugin that could not be started at all."""

    gone = True

    def __init__(self, reason: str, timers: Timers, told: Told) -> None:
        self._timer = timers.later(0.0, lambda: told(failed(reason)))

    def kill(self) -> None:
        """Nothing to end; nobody is told a verdict."""
        self._timer.cancel()


def start(
    command: tuple[str, ...],
    timeout: Seconds,
    timers: Timers,
    told: Told,
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    judge: Judge = verdict,
) -> Run:
    """Start a plugin; one that cannot be started is `unknown`, with the reason."""
    try:
        return PluginRun(command, timeout, timers, told, environment=environment, judge=judge)
    except FileNotFoundError:
        return NeverRun(f"{command[0]}: there is no such program", timers, told)
    except OSError as error:
        return NeverRun(f"{command[0]}: cannot be run: {error.strerror}", timers, told)


def _start(command: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Plugins' texts are parsed, so their numbers and words must not depend on a language."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=os.environ | {"LC_ALL": "C"} | dict(environment),
        start_new_session=True,
    )


def _nobody(_result: PluginVerdict) -> None:
    """Nobody wants to know."""
