"""The options that commands share, and how a command gets its client."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer

from nm_agents.cli.configuration import VARIABLE, administrator
from nm_agents.cli.screen.console import warn
from nm_bus.client import Client
from nm_bus.client.carrier import Connect
from nm_bus.messages import Seconds

_SITE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,198}[a-z0-9])?")


def site_key(given: str) -> str:
    """A site's key as it was meant: `gov.llnl.#` and `GOV.LLNL.` are `gov.llnl`.

    What is none is said here: a supernode puts a request with it aside, and does not answer.
    """
    key = given.strip().lower().removesuffix("#").strip(".")
    if key and not _SITE.fullmatch(key):
        raise typer.BadParameter(f"{given!r} is no site; give a name reversed, as gov.llnl")
    return key


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"Who asks and whom: settings file (else ${VARIABLE}, else ~/.config/nm-bus).",
    ),
]
ServiceConfig = Annotated[Path, typer.Option("--config", metavar="FILE", help="The settings file.")]
Json = Annotated[bool, typer.Option("--json", help="Everything as JSON, for programs.")]
Watch = Annotated[bool, typer.Option("--watch", help="Refresh every two seconds; Ctrl-C ends.")]
Under = Annotated[
    str,
    typer.Option(
        "--under",
        metavar="SITE",
        callback=site_key,
        help="Only what is under this key, as gov.llnl.",
    ),
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait.")
]


@contextmanager
def connected(context: typer.Context, config: Path | None, timeout: Seconds) -> Iterator[Client]:
    """The project, as who asks sees it: every command asks through this one."""
    settings = administrator(config)
    with Client(settings, timeout=timeout, said=warn, connect=connect_of(context)) as client:
        yield client


def connect_of(context: typer.Context) -> Connect | None:
    """What carries the questions: whoever runs the app may bring another way than the brokers."""
    return cast(Connect | None, context.obj)
