"""Whatever a library raises for input from outside is a refusal; our own errors pass."""

import pytest

from nm_bus.boundary import SHOWN, Unreadable, attempt
from nm_bus.errors import ConfigError


class PanicException(BaseException):
    """What a library in Rust raises when it gives up."""

    __module__ = "pyo3_runtime"


def _fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such version"), "cannot be read: no such version"),
        (AttributeError(), "cannot be read: AttributeError"),
        (KeyError("a\nb"), "cannot be read: 'a\\nb'"),
        (ValueError("a\nb\x1b[2J"), "cannot be read: a b [2J"),
        (RecursionError("deep"), "is nested too deep"),
        (MemoryError(), "needs too much memory"),
        (PanicException("index out of bounds"), "cannot be read: index out of bounds"),
    ],
)
def test_any_exception_is_a_refusal_in_one_printable_line(
    error: BaseException, reason: str
) -> None:
    assert attempt(lambda: _fail(error)) == Unreadable(reason)


def test_a_reason_is_bounded() -> None:
    found = attempt(lambda: _fail(ValueError("x" * 10_000)))

    assert isinstance(found, Unreadable)
    assert len(found.reason) == SHOWN


def test_what_can_be_read_is_given_as_it_is() -> None:
    assert attempt(lambda: 7) == 7


def test_an_error_of_ours_passes() -> None:
    error = ConfigError("node.toml", "is missing")

    with pytest.raises(ConfigError):
        attempt(lambda: _fail(error))


def test_what_ends_the_program_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        attempt(lambda: _fail(KeyboardInterrupt()))
