"""What the project says of itself is true: versions, licence, documents, and what is installed."""

import ast
import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nm_bus import __version__

CHECKOUT = Path(__file__).parents[1]

SOMEONES_MACHINE = re.compile(r"(?<![\w.])/(work|root|Users|home/\w+)/")
"""An absolute path that exists on one developer's machine only."""


def text_of(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(text_of("pyproject.toml"))
    return table


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        pytest.skip("only a git checkout knows which files are the project's")
    # Whoever runs the tests need not be the owner of the checkout, which git would refuse.
    command = ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    paths = [CHECKOUT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def help_of_dev() -> str:
    command = [str(CHECKOUT / "dev"), "--help"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_changelog_tells_of_this_version() -> None:
    newest = re.search(r"^## \[([^]]+)\]", text_of("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == project()["project"]["version"] == version("nm-bus")


def test_the_library_says_the_version_that_is_installed() -> None:
    assert __version__ == version("nm-bus")


ONLY_ASKED_FOR = {"ddsketch"}
"""What the library imports for nodes alone, when one of them first asks for it."""


def imported(path: Path) -> Iterator[str]:
    """The first word of every module that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        yield from (name.partition(".")[0] for name in names)


def test_the_library_imports_nothing_that_only_nodes_install() -> None:
    distributions = packages_distributions()
    needed = {re.split(r"[^\w-]", line)[0] for line in project()["project"]["dependencies"]}
    modules = {
        module
        for path in (CHECKOUT / "nm_bus").rglob("*.py")
        if "testing" not in path.parts
        for module in imported(path)
    } - ONLY_ASKED_FOR
    used = {
        name.replace("_", "-") for module in modules for name in distributions.get(module, ())
    } - {"nm-bus"}
    assert {"pika", "cryptography"} <= used
    assert used <= needed


def test_every_dependency_has_its_reason() -> None:
    table = project()
    groups = [table["build-system"]["requires"], table["project"]["dependencies"]]
    groups += table["project"]["optional-dependencies"].values()
    lines = text_of("pyproject.toml").splitlines()
    for dependency in (name for group in groups for name in group):
        (line,) = (line for line in lines if f'"{dependency}"' in line)
        assert re.search(r"\s# \w", line), f"{dependency} has no reason in pyproject.toml"


def test_the_licence_is_there() -> None:
    assert project()["project"]["license"] == "Apache-2.0"
    assert "Apache License" in text_of("LICENSE")


def test_no_file_names_a_developers_machine() -> None:
    named = {
        f"{path.relative_to(CHECKOUT)}: {found[0]}"
        for path in tracked_files()
        if (found := SOMEONES_MACHINE.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert named == set()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/testing.md"])
def test_the_commands_that_documents_name_exist(document: str) -> None:
    offered = set(re.findall(r"^  (\w+) ", help_of_dev(), re.MULTILINE))
    named = set(re.findall(r"\./dev (\w+)", text_of(document)))
    assert "test" in named
    assert named <= offered


def test_the_readme_starts_with_the_demo_and_the_tests() -> None:
    assert {"./dev demo", "./dev test"} <= {
        line.strip() for line in text_of("README.md").split("\n")
    }


def test_the_environments_that_documents_name_exist() -> None:
    tox = ConfigParser(interpolation=None)
    tox.read_string(text_of("tox.ini"))
    listed = set(re.split(r",\s*", tox["tox"]["env_list"]))
    sections = {name.removeprefix("testenv:") for name in tox.sections() if ":" in name}
    table_rows = re.findall(r"^\| (`.+?) \|", text_of("CONTRIBUTING.md"), re.MULTILINE)
    told = set(re.findall(r"`(\w+)`", " ".join(table_rows)))
    assert told == listed | sections


@pytest.mark.parametrize("package", ["nm_bus", "nm_broker", "nm_agents", "nm_lab"])
@pytest.mark.skipif("NM_BUS_TEST_WHEEL" not in os.environ, reason="only tox installs the wheel")
def test_what_is_tested_is_the_installed_wheel(package: str) -> None:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(sysconfig.get_path("purelib"))
