"""The standard streams: one that is closed or full gives one sentence instead of a traceback."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nm_bus.errors import ConfigError


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


def check_streams(*, output: bool) -> None:
    """Give the standard streams that were closed a place, so that no file gets their numbers.

    Raises ConfigError when standard output is closed and `output` is the point of the program.
    """
    closed = sys.stdout is None
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            to_nowhere(number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    if closed and output:
        raise ConfigError("standard output", "is closed", "give it a file, or /dev/null")


def to_nowhere(number: int) -> None:
    """Let what is still written to a file's number go nowhere instead of failing."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(nowhere, number)
        os.close(nowhere)
