"""`nm-bus ingest run`, as `--help` shows it; `main` starts the service without coming here."""

from typing import Annotated

import typer

from nm_agents.cli import service
from nm_agents.cli.options import ServiceConfig

ingest = typer.Typer(help="One ingest process (a service).", no_args_is_help=True)


@ingest.callback()
def _only_a_group() -> None:
    """Keep `run` a word of its own: a group of one command would swallow it."""


@ingest.command("run", help=service.DESCRIPTIONS["ingest"])
def run(
    config: ServiceConfig,
    partition: Annotated[int, typer.Option("--partition", metavar="N", help="Which, from 0.")],
) -> None:
    raise typer.Exit(service.run_ingest(config, partition))
