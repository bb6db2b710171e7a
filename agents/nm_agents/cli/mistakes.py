"""How a command's failure is worded: a slip in the command line, and an error for a program."""

import re
from collections.abc import Iterable

from nm_agents.exits import exit_code
from nm_bus.errors import NmBusError

_WORDS = (
    (re.compile(r"^Value error, "), ""),
    (re.compile(r"^Input should be "), "it must be "),
    (re.compile(r", unable to parse .*$"), ""),
)
"""What the library of values says, and what is said instead."""


def plain(message: str) -> str:
    """A library's sentence on a wrong value, without words that only its authors understand."""
    for pattern, instead in _WORDS:
        message = pattern.sub(instead, message)
    return message


def wants_json(words: Iterable[str]) -> bool:
    """Whether a command line asks for JSON; what follows two hyphens is somebody else's."""
    for word in words:
        if word == "--":
            return False
        if word == "--json":
            return True
    return False


def say_as_json(error: NmBusError) -> None:
    """The error as one line for a program, on standard output as every other answer."""
    from nm_agents.cli.screen.console import say  # noqa: PLC0415  a failure alone needs them
    from nm_agents.cli.screen.printable import as_json  # noqa: PLC0415

    code = getattr(error, "code", "")
    say(as_json({"error": str(error), "code": code, "exit": int(exit_code(error))}))
