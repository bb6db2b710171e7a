"""The options that commands share, and how a command gets its bus and its console."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer

from nm_agents.cli.bus import Bus, Opener
from nm_agents.cli.configuration import VARIABLE, administrator
from nm_agents.cli.screen.console import warn
from nm_bus.client import Client
from nm_bus.client.connection import Bus as RealBus
from nm_bus.client.silence import Said
from nm_bus.messages import Seconds
from nm_bus.settings import AdministratorSettings

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
def opened(
    context: typer.Context, config: Path | None
) -> Iterator[tuple[Bus, AdministratorSettings]]:
    """The bus of who asks, and their settings."""
    settings = administrator(config)
    with opener_of(context)(settings) as bus:
        yield bus, settings


def client_on(bus: Bus, settings: AdministratorSettings, timeout: Seconds) -> Client:
    """The ledger, asked over a bus that is open; one that is not the real one has own lines."""
    lines = getattr(bus, "line", None)
    return Client(settings, timeout=timeout, bus=cast(RealBus, bus), lines=lines, said=warn)


@contextmanager
def ledger(context: typer.Context, config: Path | None, timeout: Seconds) -> Iterator[Client]:
    """The project's ledger, for who asks."""
    with opened(context, config) as (bus, settings):
        yield client_on(bus, settings, timeout)


def opener_of(context: typer.Context, said: Said = warn) -> Opener:
    """What connects: whoever runs the app may bring another one."""
    return cast(Opener, context.obj or partial(RealBus, said=said))
