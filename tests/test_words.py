"""Plain technical English in what people read first: help texts, messages, documents."""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from nm_agents.cli.app import app

CHECKOUT = Path(__file__).parents[1]
DOCUMENTS = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")]
PACKAGES = ("nm_bus", "nm_broker", "nm_agents", "nm_lab")

AVOIDED = re.compile(
    r"\b(told|heard of|anew|whoever|whomever|mend|mends|mended|mending|deaf|nobody)\b",
    re.IGNORECASE,
)
"""Say instead: reported, received, again, who, correct, cannot receive, no one."""


def avoided(place: str, text: str) -> list[str]:
    return [f"{place}: {found[0]}: {text[:80]!r}" for found in AVOIDED.finditer(text)]


def helps() -> Iterator[tuple[str, str]]:
    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while waiting:
        words, command = waiting.pop()
        yield " ".join(words), CliRunner().invoke(app, [*words, "--help"]).stdout
        waiting += [((*words, name), c) for name, c in getattr(command, "commands", {}).items()]


def docstrings(tree: ast.AST) -> set[ast.expr]:
    """The texts that stand alone as a statement."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """What a module may say: every text that is no docstring, with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in alone:
            yield node.lineno, node.value


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        yield from sorted(Path(spec.origin).parent.rglob("*.py"))


def test_the_help_of_every_command_is_in_plain_words() -> None:
    assert [found for command, text in helps() for found in avoided(command, text)] == []


def test_every_message_is_in_plain_words() -> None:
    found = [
        hit
        for path in modules()
        for line, text in texts(path)
        for hit in avoided(f"{path.name}:{line}", text)
    ]
    assert found == []


def test_the_documents_are_in_plain_words() -> None:
    found = [
        hit
        for path in DOCUMENTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for hit in avoided(f"{path.name}:{number}", line)
    ]
    assert found == []
