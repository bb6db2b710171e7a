"""`nm-bus lock ...`: who holds which lock, and a command that runs while a lock is held."""

import os
import re
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from nm_agents.cli.lists import ListForm, Output, Sort, show_list
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen.entries import entry_view, show_entry
from nm_agents.exits import ENDING, Exit, ended_by_signals, on_signals, say
from nm_agents.lifeline import lifeline
from nm_bus.client import Held
from nm_bus.errors import (
    ConfigError,
    ConflictError,
    LockLostError,
)
from nm_bus.messages import Seconds

locks = typer.Typer(help="Locks: who holds them, and to hold one.", no_args_is_help=True)

TOKEN = "NM_BUS_LOCK_TOKEN"
SHARE = 3
"""A command has this part of the lock's time to live to end by itself once the lock is lost."""

LOOK: Seconds = 0.2

NAME = re.compile(r"[!-~]+")


@locks.command("list", short_help="The locks that are held.")
def list_locks(
    context: typer.Context,
    *,
    form: Output = ListForm.TABLE,
    sort: Sort = "",
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """List the locks that are held, by whom, and their tokens.

    Example: nm-bus lock list

    Exit codes: 0 listed (none, too), 2 something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        found = list(client.entries("lock/"))
    columns = {name: name for name in ("owner", "token", "session")}
    show_list(entry_view(columns), found, "No lock is held.", form, sort, json=json)


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The lock's name.")]


@locks.command("show", short_help="Who holds one.")
def show(
    context: typer.Context,
    name: NameArgument,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show who holds a lock, after all that was agreed when you asked.

    Example: nm-bus lock show reindex

    Exit codes: 0 it is held, 2 it is free or something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        show_entry(client.get(f"lock/{name}", agreed=True), f"lock/{name}", json=json)


@locks.command("run", short_help="Hold one while a command runs.")
def run(
    context: typer.Context,
    name: NameArgument,
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="What to run, after two hyphens.")
    ],
    *,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="For the lock to be free.")
    ] = 0.0,
    ttl: Annotated[
        float,
        typer.Option(
            "--ttl", metavar="SECONDS", min=3, max=3600, help="Silence that loses the lock."
        ),
    ] = 15.0,
    config: Config = None,
    timeout: Timeout = 20.0,
) -> None:
    """Run a command while a lock is held. Its token is in the environment: NM_BUS_LOCK_TOKEN.

    Hand the token to what the lock protects, which must refuse a lower one than it has seen: a
    machine that was paused may go on for a moment after it has lost the lock. When the lock is
    lost, or this program ends or is killed, the command gets SIGTERM, and is killed after a third
    of --ttl.

    Example: nm-bus lock run reindex --wait 60 -- /usr/bin/reindex --all

    Exit codes: the command's own (128 and the signal's number if one ended it), 1 another holds
    the lock, 2 something to correct, 3 no answer or the lock was lost.
    """
    if not NAME.fullmatch(name):
        what = "is no lock's name: letters, digits and signs of ASCII, without blanks"
        raise ConfigError(f"the lock {name!r}", what, "choose another")
    with ended_by_signals(), connected(context, config, timeout) as client:
        try:
            with client.lock(name, wait=wait, ttl=ttl) as held:
                code = _run(command, held, ttl / SHARE)
        except ConflictError as error:
            say(error)
            raise typer.Exit(Exit.NEGATIVE) from None
    raise typer.Exit(code)


def _run(command: list[str], held: Held, grace: Seconds) -> int:
    environment = {**os.environ, TOKEN: str(held.token)}
    stop = threading.Event()
    try:
        with (
            on_signals(ENDING, stop.set),
            lifeline(grace) as tied,
            subprocess.Popen(command, env=environment) as process,
        ):
            tied.tie(process)
            code = _watched(process, lambda: held.lost.is_set() or stop.is_set(), grace)
    except OSError as error:
        raise ConfigError(command[0], f"cannot be run: {error.strerror}") from None
    if held.lost.is_set():
        raise LockLostError(f"the lock {held.name} was lost, and the command was ended")
    return code if code >= 0 else 128 - code


def _watched(process: "subprocess.Popen[bytes]", over: Callable[[], bool], grace: Seconds) -> int:
    """Wait for the command's end, or bring it about once it is over for another reason."""
    try:
        while not over():
            with suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK)
    finally:
        _end(process, grace)
    return process.returncode


def _end(process: "subprocess.Popen[bytes]", grace: Seconds) -> None:
    """The command must not go on: it is told, and killed when it does not listen."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
