"""`nm-bus init`: each way it ends, and what it says."""

import json
from pathlib import Path

import pytest

from .conftest import Run

NODE = "sn1.example.org"

PROJECT = f"""
project = "test"
administrators = ["admin.example.org"]
[[supernodes]]
node = "{NODE}"
"""

SUPERNODE = f"""
project = "test"
node = "{NODE}"
folder = "state"
[broker]
host = "{NODE}"
[tls]
ca = "ca"
certificate = "crt"
key = "key"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project.toml").write_text(PROJECT)
    (tmp_path / "supernode.toml").write_text(SUPERNODE)
    return tmp_path


def words(folder: Path, *more: str) -> tuple[str, ...]:
    return ("init", "--config", str(folder / "supernode.toml"), *more)


def test_a_ledger_is_made_once_and_the_second_time_says_so(run: Run, folder: Path) -> None:
    command = words(folder, "--project", str(folder / "project.toml"))
    first, second = run(*command), run(*command)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert f"made for {NODE}" in first.stdout
    assert "nothing was changed" in second.stdout


def test_a_project_file_that_differs_is_refused_with_what_differs(run: Run, folder: Path) -> None:
    command = words(folder, "--project", str(folder / "project.toml"))
    run(*command)
    (folder / "project.toml").write_text(PROJECT.replace("admin.", "eve."))
    said = run(*command)
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert "administrator eve.example.org was not there, now there" in said.stderr


def test_anew_it_says_what_an_administrator_must_do(run: Run, folder: Path) -> None:
    said = run(*words(folder, "--anew"))
    assert said.exit_code == 0
    assert f"nm-bus supernode add {NODE} --incarnation" in said.stdout
    told = json.loads(run(*words(folder, "--anew", "--json")).stdout)
    assert told["incarnation"] in told["admission"]
    assert Path(told["aside"]).exists()


@pytest.mark.parametrize("more", [(), ("--anew", "--project", "project.toml")])
def test_it_must_be_one_of_the_two(run: Run, folder: Path, more: tuple[str, ...]) -> None:
    said = run(*words(folder, *more))
    assert said.exit_code == 2
    assert "--anew" in said.stderr
