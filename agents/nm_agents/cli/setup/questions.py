"""Questions to a person at a terminal; elsewhere every answer comes from an option or a default."""

import sys
from dataclasses import dataclass
from typing import Any

from rich.prompt import Prompt

from nm_agents.cli.screen.console import screen
from nm_bus.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Questions:
    """Asks only where somebody can answer."""

    asks: bool

    @classmethod
    def at_terminal(cls) -> "Questions":
        """Ask when input and messages are a terminal."""
        return cls(sys.stdin.isatty() and sys.stderr.isatty())

    def one(self, option: str, question: str, given: str, default: str = "") -> str:
        """The answer to one question. Raises ConfigError when there is none."""
        if given:
            return given
        if self.asks:
            return self._answer(question, default)
        if default:
            return default
        raise ConfigError(option, "is needed", f"give {option}, or run this at a terminal")

    def several(self, option: str, question: str, given: list[str], default: str = "") -> list[str]:
        """The answer to a question for a list, separated by blanks; it may be empty with `-`."""
        if given:
            return given
        answer = self.one(option, f"{question} (separated by blanks)", "", default)
        return [] if answer == "-" else answer.split()

    def _answer(self, question: str, default: str) -> str:
        """Ask until there is an answer; an end of input is a Ctrl-C."""
        console, answer = screen(sys.stderr), ""
        while not answer:
            try:
                given: Any = Prompt.ask(question, console=console, default=default or ...)
                answer = given.strip()
            except EOFError:
                raise KeyboardInterrupt from None
        return answer
