"""`nm-bus completion`: a script for a shell, and what answers that script when Tab is pressed."""

import os
from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import (  # type: ignore[attr-defined]  # not exported: no other door
    completion_init,
    get_completion_script,
)

PROGRAM, VARIABLE = "nm-bus", "_NM_BUS_COMPLETE"
"""The script calls the program with this variable set, which is typer's way."""


class Shell(StrEnum):
    """A shell with a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script that lets a shell complete commands and options when you press Tab.

    bash and zsh: put `eval "$(nm-bus completion bash)"` into ~/.bashrc (or zsh, ~/.zshrc). fish:
    nm-bus completion fish > ~/.config/fish/completions/nm-bus.fish

    Example: nm-bus completion bash

    Exit codes: 0 printed, 2 there is no script for that shell.
    """
    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell))


def expect_tab() -> None:
    """Let a shell's script be answered, when it is the script that calls."""
    if VARIABLE in os.environ:
        completion_init()
