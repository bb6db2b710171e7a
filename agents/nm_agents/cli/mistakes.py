"""How a command's failure is worded: a slip in the command line, and an error for a program."""

import re
from collections.abc import Sequence
from itertools import pairwise

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


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for JSON; what follows two hyphens is somebody else's."""
    ours = words[: words.index("--")] if "--" in words else words
    asked = {"--json", "-ojson", "--format=json"}
    return not asked.isdisjoint(ours) or any(
        pair in (("-o", "json"), ("--format", "json")) for pair in pairwise(ours)
    )


def say_as_json(error: NmBusError) -> None:
    """The error as one line for a program, on standard output as every other answer."""
    from nm_agents.cli.screen.console import say  # noqa: PLC0415  a failure alone needs them
    from nm_agents.cli.screen.printable import as_json  # noqa: PLC0415

    code = getattr(error, "code", "")
    say(as_json({"error": str(error), "code": code, "exit": int(exit_code(error))}))
