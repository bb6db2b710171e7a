"""Tab completes commands and options, in a real shell where there is one."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nm_agents.cli.completion import VARIABLE

from .conftest import Run

PRESS = """
{script}
COMP_WORDS=({words})
COMP_CWORD={last}
_nm_bus_completion nm-bus
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where `nm-bus` is, as an installed one would be."""
    program = tmp_path / "nm-bus"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nm_agents.main "$@"\n')
    program.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["nm-bus", "sta"], ["status"]),
        (["nm-bus", "s"], ["status", "supernode", "show", "setup", "simulate"]),
        (["nm-bus", "config", "re"], ["revert"]),
        (["nm-bus", "status", "--wat"], ["--watch"]),
        (["nm-bus", "--vers"], ["--version"]),
    ],
    ids=lambda value: " ".join(value[1:]),
)
def test_bash_completes(run: Run, path: str, words: list[str], offered: list[str]) -> None:
    script = run("completion", "bash").stdout
    press = PRESS.format(script=script, words=shlex.join(words), last=len(words) - 1)
    said = subprocess.run(
        ["bash", "--norc", "-c", press],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stderr == ""
    assert said.stdout.split() == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_that_asks_the_program(run: Run, shell: str) -> None:
    said = run("completion", shell)
    assert said.exit_code == 0
    assert f"{VARIABLE}=complete_{shell}" in said.stdout


def test_the_program_answers_the_scripts_of_zsh_and_fish() -> None:
    for shell in ("zsh", "fish"):
        asked = {"_TYPER_COMPLETE_ARGS": "nm-bus sta", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        said = subprocess.run(
            [sys.executable, "-m", "nm_agents.main"],
            env=os.environ | asked | {VARIABLE: f"complete_{shell}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "status" in said.stdout
        assert "supernode" not in said.stdout


def test_an_unknown_shell_is_a_mistake(run: Run) -> None:
    assert run("completion", "csh").exit_code == 2
