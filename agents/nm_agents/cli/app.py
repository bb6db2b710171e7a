"""The command line put together: every command, and how all of them end."""

import sys
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nm_agents.cli import member as members
from nm_agents.cli import service
from nm_agents.cli import supernode as supernodes
from nm_agents.cli.alerts import alerts
from nm_agents.cli.ask import ask
from nm_agents.cli.broker.group import broker
from nm_agents.cli.config.group import config
from nm_agents.cli.dead import dead
from nm_agents.cli.doctor.command import doctor
from nm_agents.cli.files import files
from nm_agents.cli.fsck import fsck
from nm_agents.cli.init import init
from nm_agents.cli.lock import locks
from nm_agents.cli.log import log, show_revision
from nm_agents.cli.mistakes import plain, say_as_json, wants_json
from nm_agents.cli.outcome import outcome
from nm_agents.cli.pki import pki
from nm_agents.cli.record import records
from nm_agents.cli.role import roles
from nm_agents.cli.setup.commands import setup
from nm_agents.cli.status import status
from nm_agents.cli.tail import tail
from nm_agents.cli.top import top
from nm_agents.exits import MEANING, ended_well
from nm_bus import __version__
from nm_bus.errors import NmBusError


class Commands(TyperGroup):
    """The commands of nm-bus. An error of ours ends any of them with one sentence."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; `--json` gives the reason of a failure too."""
        words = (*ctx._protected_args, *ctx.args)
        with ended_well():
            try:
                return super().invoke(ctx)
            except typer.BadParameter as error:
                error.message = plain(error.message)
                raise
            except NmBusError as error:
                if wants_json(words):
                    say_as_json(error)
                raise


def _assemble() -> typer.Typer:
    made = typer.Typer(
        cls=Commands,
        help="nm-bus: the node manager of a federation, as messages.",
        epilog=MEANING,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    made.callback(invoke_without_command=True)(_first)
    for command, summary in _COMMANDS.items():
        made.command(short_help=summary)(command)
    made.add_typer(alerts, name="alerts")
    made.add_typer(setup, name="setup")
    made.add_typer(files, name="files")
    made.add_typer(broker, name="broker")
    made.add_typer(dead, name="dead")
    made.add_typer(pki, name="pki")
    made.add_typer(resolve_name("nm_lab.bench.commands:bench"), name="bench")
    made.add_typer(resolve_name("nm_lab.simulate.commands:simulate"), name="simulate")
    made.add_typer(config, name="config")
    made.command("show", short_help="One revision of the ledger.")(show_revision)
    made.command("outcome", short_help="What became of a change.")(outcome)
    made.add_typer(roles, name="role")
    made.add_typer(records, name="record")
    made.add_typer(locks, name="lock")
    for name in service.SERVICES:
        made.add_typer(_service(name), name=name)
    return made


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nm-bus {__version__}")
        raise typer.Exit


def _first(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Say the version."),
    ] = False,
) -> None:
    """Nothing on the way to a command may fail on a character that the terminal lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")


_COMMANDS: dict[Callable[..., None], str] = {
    status: "The federation in one screen.",
    top: "One node's metrics, with history.",
    ask: "Ask a member itself.",
    tail: "Live messages, one line each.",
    doctor: "What is wrong, and what to do.",
    log: "What was agreed, the newest first.",
    fsck: "Whether all supernodes have one and the same history.",
    init: "A supernode's ledger.",
    resolve_name(
        "nm_lab.demo.program:demo"
    ): "A federation on this machine, and a story that checks itself.",
}

ServiceConfig = Annotated[Path, typer.Option("--config", metavar="FILE", help="The settings file.")]


def _service(name: str) -> typer.Typer:
    """A service as `--help` shows it; `main` starts it without coming here."""
    description = service.DESCRIPTIONS[name]
    summary = _SERVICES[name]
    group = typer.Typer(help=summary, short_help=summary, no_args_is_help=True)
    group.callback()(_only_a_group)
    group.command("run", help=description)(_RUN[name])
    for word, (command, told) in _BESIDE.get(name, {}).items():
        group.command(word, short_help=told)(command)
    return group


def _only_a_group() -> None:
    """Keep `run` a word of its own: a group of one command would swallow it."""


def _member(config: ServiceConfig) -> None:
    raise typer.Exit(service.run_member(config))


def _supernode(config: ServiceConfig) -> None:
    raise typer.Exit(service.run_supernode(config))


def _ingest(
    config: ServiceConfig,
    partition: Annotated[int, typer.Option("--partition", metavar="N", help="Which, from 0.")],
) -> None:
    raise typer.Exit(service.run_ingest(config, partition))


_RUN: dict[str, Callable[..., None]] = {
    "member": _member,
    "supernode": _supernode,
    "ingest": _ingest,
}

_BESIDE: dict[str, dict[str, tuple[Callable[..., None], str]]] = {
    "member": members.COMMANDS,
    "supernode": supernodes.COMMANDS,
}
"""What people do with a service's name, beside `run`."""

_SERVICES = {
    "member": "Who belongs; and the member agent (a service).",
    "supernode": "Who decides; and a supernode (a service).",
    "ingest": "One ingest process (a service).",
}

app = _assemble()
