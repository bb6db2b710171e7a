"""How a program ends: the exit codes, and the one place where an error becomes a sentence.

Light on purpose: the services end here too, and must not load what only people need.
"""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

from nm_agents.oneline import one_line
from nm_bus.errors import ConfigError, NmBusError, RefusedError, StorageError


class Exit(IntEnum):
    """The exit codes of every command and service. `LATER`: nobody answered, or the like."""

    OK = 0
    NEGATIVE = 1
    MEND = 2
    LATER = 3
    INTERRUPTED = 128 + signal.SIGINT


MEANING = "Exit codes: 0 fine, 1 a negative result, 2 something to mend, 3 nobody answered."


def exit_code(error: NmBusError) -> Exit:
    """What an error asks of the caller: to mend something, or to try again later."""
    if isinstance(error, ConfigError | RefusedError | StorageError):
        return Exit.MEND
    return Exit.LATER


@contextmanager
def ended_well() -> Iterator[None]:
    """Turn the ends that are no bugs into exit codes, with one sentence at most and no traceback.

    A reader that has seen enough (`nm-bus tail dead | head`) is no failure.
    """
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise SystemExit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        _nobody_reads()
        raise SystemExit(Exit.OK) from None
    except UnwrittenError as error:
        _nobody_reads()
        say(error)
        raise SystemExit(exit_code(error)) from None
    except NmBusError as error:
        say(error)
        raise SystemExit(exit_code(error)) from None


class UnwrittenError(ConfigError):
    """Standard output takes nothing more, as on a full disk."""


class Output(io.TextIOWrapper):
    """Standard output that says by an error of our own that it could not be written.

    Told apart here, since a failure to write any other file is not for `ended_well` to explain.
    """

    def write(self, text: str, /) -> int:
        """As any stream does."""
        with self._explained():
            return super().write(text)

    def flush(self) -> None:
        """As any stream does."""
        with self._explained():
            super().flush()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise UnwrittenError("standard output", what) from None


def explained_output() -> None:
    """From now on standard output explains itself."""
    sys.stdout = Output(
        sys.stdout.buffer,
        encoding=sys.stdout.encoding,
        errors=sys.stdout.errors,
        line_buffering=sys.stdout.isatty(),
        write_through=isinstance(sys.stdout.buffer, io.RawIOBase),
    )


def check_arguments(arguments: Iterable[str]) -> None:
    """Raise ConfigError for an argument that is no UTF-8: nothing of ours can hold it."""
    for argument in arguments:
        if not argument.isascii():
            try:
                argument.encode()
            except UnicodeEncodeError:
                shown = argument.encode(errors="backslashreplace").decode()
                raise ConfigError(f"the argument {shown}", "is no UTF-8", "rename it") from None


def check_streams(*, output: bool) -> None:
    """Give the standard streams that were closed a place, so that no file gets their numbers.

    Raises ConfigError when standard output is closed and `output` is the point of the program.
    """
    closed = sys.stdout is None
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            _to_nowhere(number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    if closed and output:
        raise ConfigError("standard output", "is closed", "give it a file, or /dev/null")


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let a program that is terminated, or whose terminal goes away, end as by Ctrl-C: in order."""

    def told(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def on_sigterm(stop: Callable[[], None]) -> Iterator[None]:
    """Within, SIGTERM calls `stop` instead of ending the program."""
    with on_signals((signal.SIGTERM,), stop):
        yield


ENDING = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGXCPU,
    signal.SIGIO,
    signal.SIGPWR,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)
"""The signals that end a program unless it handles them; not those of its own crash, SIGKILL, which
nobody handles, SIGINT, which Python makes a KeyboardInterrupt, and SIGPIPE, which it ignores."""


@contextmanager
def on_signals(numbers: Iterable[int], call: Callable[[], None]) -> Iterator[None]:
    """Within, these signals call `call` instead of ending the program.

    One that was ignored when the program started (as by `nohup`) stays ignored.
    """
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda _n, _frame: call()) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(error: NmBusError) -> None:
    """Write an error's sentence to standard error, as one line that moves no cursor."""
    print(f"nm-bus: {one_line(str(error))}", file=sys.stderr)


def _nobody_reads() -> None:
    """Let what Python still flushes at its end go nowhere instead of complaining."""
    _to_nowhere(sys.stdout.fileno())


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
