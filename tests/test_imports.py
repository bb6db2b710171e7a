"""Imports run one way: laboratory, programs, brokers, the library, down to its errors.

The code is read, not run, so that an import inside a function counts as well. Two rules go further:
the core touches neither clock nor chance nor the outside, and the member agent starts lean.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path

import pytest

PACKAGES = ("nm_bus", "nm_broker", "nm_agents", "nm_lab")

RANKS = {
    "nm_lab": 6,
    "nm_agents": 5,
    "nm_broker": 4,
    "nm_bus": 3,
    "nm_bus.client": 3,
    "nm_bus.testing": 3,
    "nm_bus.transport": 2,
    "nm_bus.storage": 2,
    "nm_bus.files": 2,
    "nm_bus.identity": 2,
    "nm_bus.identity.role": 1,
    "nm_bus.core": 2,
    "nm_bus.errors": 0,
}
"""A module may import those of its own rank and of lower ones."""

WORDS = 1
"""The rank of what else is in `nm_bus`: messages, topology, codec, settings and their like."""

NOT_IN_CORE = {
    "nm_bus.transport",
    "nm_bus.storage",
    "nm_bus.files",
    "asyncio",
    "logging",
    "os",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
    "uuid",
}

CLOCKS = {"now", "utcnow", "today"}
"""What `datetime` and `date` read the clock with."""

NOT_LEAN = {"jsonschema", "kombu", "rich", "typer", "cryptography", "watchdog"}
"""Libraries that a member agent loads on demand, to stay under 40 MB."""


def modules_of(package: str, folder: Path) -> dict[str, Path]:
    """Every module of the package that lies in `folder`, by its full name."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        inner = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join((package, *inner))] = path
    return found


def our_modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        found |= modules_of(package, Path(spec.origin).parent)
    return found


def imports_of(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The full name of each module that a module imports, wherever in it the import stands."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in modules else source


def rank(module: str) -> int | None:
    """How high a module of ours stands; None for any other's."""
    top, *inner = module.split(".")
    if top != "nm_bus" or not inner:
        return RANKS.get(top)
    of_room = RANKS.get(f"nm_bus.{inner[0]}", WORDS)
    return RANKS.get(module, of_room)


def arrows_up(modules: dict[str, Path]) -> list[str]:
    """Each import of a higher rank, as `importer -> imported`."""
    return [
        f"{name} -> {imported}"
        for name, path in modules.items()
        for imported in imports_of(name, path, modules)
        if (rank(imported) or 0) > (rank(name) or 0)
    ]


def impurities(modules: dict[str, Path]) -> list[str]:
    """Each way in which the core reaches for a clock, for chance, or for the outside."""
    core = {name: path for name, path in modules.items() if is_within(name, {"nm_bus.core"})}
    return [
        f"{name} -> {used}"
        for name, path in core.items()
        for used in (*imports_of(name, path, modules), *clocks_read_in(path))
        if is_within(used, NOT_IN_CORE | {"datetime.now"})
    ]


def clocks_read_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            owner = ast.unparse(node.value).rpartition(".")[2]
            if owner in {"datetime", "date"}:
                yield "datetime.now"


def is_within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_no_import_runs_back_up() -> None:
    assert arrows_up(our_modules()) == []


def test_only_the_table_of_commands_names_the_laboratory() -> None:
    naming = {
        name
        for name, path in our_modules().items()
        if not is_within(name, {"nm_lab"}) and "nm_lab" in path.read_text(encoding="utf-8")
    }
    assert naming == {"nm_agents.cli.table"}


def test_the_core_reads_no_clock_and_touches_nothing_outside() -> None:
    assert impurities(our_modules()) == []


def test_the_member_agent_starts_without_what_it_needs_on_demand() -> None:
    code = "import sys, nm_agents.main, nm_agents.member.program; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    assert "nm_agents.member.program" in loaded
    assert NOT_LEAN.intersection(loaded) == set()


@pytest.mark.parametrize(
    ("module", "line", "imported"),
    [
        ("nm_bus.errors", "from nm_bus.messages import Health", "nm_bus.messages"),
        ("nm_bus.codec", "import nm_bus.transport.base", "nm_bus.transport.base"),
        ("nm_bus.core.health", "from nm_bus import testing", "nm_bus.testing"),
        ("nm_bus.core.health", "from .. import client", "nm_bus.client"),
        ("nm_bus.transport.base", "def f():\n    import nm_bus.client", "nm_bus.client"),
        ("nm_bus.client", "from nm_broker import pki", "nm_broker.pki"),
        ("nm_broker.pki", "from nm_agents.cli import app", "nm_agents.cli.app"),
        ("nm_agents.cli.app", "from nm_lab import demo", "nm_lab.demo"),
    ],
)
def test_a_planted_arrow_back_up_is_found(
    tmp_path: Path, module: str, line: str, imported: str
) -> None:
    planted, empty = tmp_path / "planted.py", tmp_path / "empty.py"
    planted.write_text(line, encoding="utf-8")
    empty.write_text("", encoding="utf-8")
    modules = {module: planted, imported: empty}
    assert arrows_up(modules) == [f"{module} -> {imported}"]


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from random import random",
        "import logging.handlers",
        "def f():\n    import threading",
        "from nm_bus.storage import spool",
        "from ..transport import base",
        "import datetime\nNOW = datetime.datetime.now()",
        "from datetime import date\nTODAY = date.today()",
    ],
)
def test_a_planted_impurity_of_the_core_is_found(tmp_path: Path, line: str) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(line, encoding="utf-8")
    assert len(impurities({"nm_bus.core.planted": planted})) == 1


def test_what_the_core_needs_of_the_library_is_allowed(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        "import datetime\nfrom nm_bus.messages import Health\nfrom .view import View\n"
        "def age(now: float) -> datetime.timedelta: ...\n",
        encoding="utf-8",
    )
    modules = {"nm_bus.core.planted": planted}
    assert arrows_up(modules) == []
    assert impurities(modules) == []
