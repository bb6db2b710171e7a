"""Where what comes from outside meets a library: any failure of the library is a refusal.

The one place that catches every exception, because no library names all that it raises for input
that nobody foresaw. What is called here reads and computes; it changes nothing, so that a
programming error hidden here cannot leave anything half done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from nm_bus.errors import NmBusError

T = TypeVar("T")

SHOWN = 300
"""How much of a library's own words is shown, since they may quote the input."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be read; `reason` is one printable line, without a subject."""

    reason: str


def attempt(read: Callable[[], T]) -> T | Unreadable:
    """Call `read`; an exception of any kind becomes a value with its reason.

    Errors of our own (NmBusError) pass: they already say what the caller has to decide.
    """
    try:
        return read()
    except NmBusError:
        raise
    except RecursionError:
        return Unreadable("is nested too deep")
    except MemoryError:
        return Unreadable("needs too much memory")
    except Exception as error:  # noqa: BLE001  # libraries do not list what they raise
        return Unreadable(_reason(error))
    except BaseException as error:
        # a library in Rust gave up: the class of pyo3 for that is no Exception, nor importable
        if type(error).__module__ != "pyo3_runtime":
            raise
        return Unreadable(_reason(error))


def _reason(error: BaseException) -> str:
    words = "".join(c if c.isprintable() else " " for c in str(error)).strip()
    return f"cannot be read: {words or type(error).__name__}"[:SHOWN]
