"""How a program ends: the exit codes, and the one place where an error becomes a sentence.

Light on purpose: the services end here too, and must not load what only people need.
"""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum

from nm_agents.oneline import one_line
from nm_agents.streams import UnwrittenError, to_nowhere
from nm_bus.errors import ConfigError, NmBusError, RefusedError, StorageError


class Exit(IntEnum):
    """The exit codes of every command and service. `LATER`: no answer, or the like."""

    OK = 0
    NEGATIVE = 1
    CONFIG = 2
    LATER = 3
    INTERRUPTED = 128 + signal.SIGINT


MEANING = "Exit codes: 0 fine, 1 a negative result, 2 something to correct, 3 no answer."


def exit_code(error: NmBusError) -> Exit:
    """What an error asks of the caller: to correct something, or to try again later."""
    if isinstance(error, ConfigError | RefusedError | StorageError):
        return Exit.CONFIG
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
        to_nowhere(sys.stdout.fileno())
        raise SystemExit(Exit.OK) from None
    except UnwrittenError as error:
        to_nowhere(sys.stdout.fileno())
        say(error)
        raise SystemExit(exit_code(error)) from None
    except NmBusError as error:
        say(error)
        raise SystemExit(exit_code(error)) from None
    except PermissionError as error:
        if error.filename is None:
            raise
        # wherever it comes from, it is about this user and that file, and no bug
        say(ConfigError(str(error.filename), f"{error.strerror}", "see who may use it"))
        raise SystemExit(Exit.CONFIG) from None


def check_arguments(arguments: Iterable[str]) -> None:
    """Raise ConfigError for an argument that is no UTF-8: nothing of ours can hold it."""
    for argument in arguments:
        if not argument.isascii():
            try:
                argument.encode()
            except UnicodeEncodeError:
                shown = argument.encode(errors="backslashreplace").decode()
                raise ConfigError(f"the argument {shown}", "is no UTF-8", "rename it") from None


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let a program that is told to end, however, end as by Ctrl-C: in order."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with on_signals(ENDING, interrupt):
        yield


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
    try:
        print(f"nm-bus: {one_line(str(error))}", file=sys.stderr, flush=True)
    except OSError:
        # the exit code is left to say it, which a second failure at Python's end would replace
        to_nowhere(sys.stderr.fileno())
