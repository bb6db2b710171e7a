import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import typer
from typer.main import get_command

from nm_agents.cli.app import app
from nm_agents.cli.service import SERVICES
from nm_agents.cli.table import ROWS, TABLE

from .conftest import Run

CHECKOUT = Path(__file__).parents[3]
DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]


def commands() -> Iterator[tuple[str, ...]]:
    """Every command of the tree, as the words that name it."""
    root = get_command(app)
    waiting: list[tuple[tuple[str, ...], Any]] = [((), root)]
    while waiting:
        words, command = waiting.pop()
        yield words
        waiting += [((*words, name), c) for name, c in getattr(command, "commands", {}).items()]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_help(run: Run, words: tuple[str, ...]) -> None:
    said = run(*words, "--help")
    assert said.exit_code == 0
    assert "Usage: nm-bus" in said.stdout.replace("root", "nm-bus") or not words


@pytest.mark.parametrize("words", [w for w in commands() if w], ids=" ".join)
def test_a_command_that_asks_shows_an_example_and_its_exit_codes(
    run: Run, words: tuple[str, ...]
) -> None:
    said = run(*words, "--help").stdout
    if "Commands:" in said or (words[-1] == "run" and words[0] in SERVICES):
        return
    assert "Example: nm-bus" in said
    assert "Exit codes:" in said


def test_the_services_are_listed_among_the_commands(run: Run) -> None:
    said = run("--help").stdout
    assert all(name in said for name in ("member", "supernode", "ingest", "status", "alerts"))


def test_the_version_is_said(run: Run) -> None:
    assert re.fullmatch(r"nm-bus \d+\.\d+\.\d+\n", run("--version").stdout)


def test_a_missing_settings_file_is_one_sentence_and_exit_code_2(run: Run, tmp_path: Path) -> None:
    said = run("status", "--config", str(tmp_path / "none.toml"))
    assert said.exit_code == 2
    assert said.stderr.count("\n") == 1
    assert "none.toml" in said.stderr
    assert "--config FILE" in said.stderr


def documented() -> list[list[str]]:
    """The command lines in the documents' code blocks, which are indented. What follows two hyphens
    is somebody else's command."""
    lines = re.findall(
        r"^ {4}(?:runuser -u nm-bus -- )?(nm-bus [^#|\n]*)",
        "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS),
        re.MULTILINE,
    )
    return [line.partition(" -- ")[0].split() for line in lines]


@pytest.mark.parametrize("line", documented(), ids=" ".join)
def test_what_the_documents_show_is_a_command(line: list[str]) -> None:
    command: Any = get_command(app)
    words = [word.strip("'\"") for word in line[1:]]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert not getattr(command, "commands", {}) or not words or words[0].startswith("-"), line
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_documents_show_every_command() -> None:
    shown = {" ".join(line[1:]) for line in documented()}
    leaves = [words for words in commands() if words and not is_group(words)]
    assert [w for w in leaves if not any(s.startswith(" ".join(w)) for s in shown)] == []


def is_group(words: tuple[str, ...]) -> bool:
    command: Any = get_command(app)
    for word in words:
        command = command.commands[word]
    return bool(getattr(command, "commands", {}))


def test_a_group_is_listed_with_its_own_words() -> None:
    groups = {row.name: resolve_name(row.place) for row in ROWS.values()}
    told = {n: group.info.help for n, group in groups.items() if isinstance(group, typer.Typer)}
    assert told == {name: ROWS[name].summary for name in told}


def test_help_lists_every_command_under_who_uses_it(run: Run) -> None:
    said = run("--help").stdout
    sections = re.findall(r"^(\S[^\n]*):\n((?:  .*\n)+)", said, re.MULTILINE)
    listed = {heading: re.findall(r"^  (\w+)", body, re.MULTILINE) for heading, body in sections}
    assert {users: listed[users] for users in TABLE} == {
        users: [row.name for row in rows] for users, rows in TABLE.items()
    }


@pytest.mark.parametrize("words", [("status",), ("config", "put"), ("lock", "run"), ()])
def test_help_can_be_asked_for_in_three_ways(run: Run, words: tuple[str, ...]) -> None:
    said = run(*words, "--help")
    assert said.exit_code == 0
    assert run(*words, "-h").stdout == run("help", *words).stdout == said.stdout


def test_help_on_no_command_is_a_mistake(run: Run) -> None:
    said = run("help", "statsu")
    assert said.exit_code == 2
    assert "Did you mean 'status'?" in said.stderr


def test_the_version_is_a_command_too(run: Run) -> None:
    assert run("version").stdout == run("--version").stdout


LOADED = """
import sys
from nm_agents.main import main
sys.argv = ["nm-bus", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print(*sorted(sys.modules))
"""


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        (["--help"], {"rich", "msgspec", "kombu", "nm_agents.cli.status", "nm_lab"}),
        (["version"], {"rich", "msgspec", "kombu", "nm_agents.cli.status", "nm_lab"}),
        (["status", "--help"], {"pika", "cryptography", "jsonschema", "psutil", "nm_lab"}),
        (["member", "-h"], {"pika", "cryptography", "jsonschema", "psutil", "nm_lab"}),
        (["config", "put", "-h"], {"pika", "jsonschema", "psutil", "nm_lab"}),
        (["files", "settings", "--help"], {"pika", "jsonschema", "psutil", "nm_lab"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_loads_what_it_needs_alone(words: list[str], unused: set[str]) -> None:
    command = [sys.executable, "-c", LOADED, *words]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert unused.intersection(said.stdout.splitlines()[-1].split()) == set()
