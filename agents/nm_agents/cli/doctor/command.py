"""`nm-bus doctor`: what is wrong on the way from here to an answer, and what to do."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from nm_agents.cli.configuration import settings_path
from nm_agents.cli.doctor.answers import examine_answers, examine_federation
from nm_agents.cli.doctor.broker import examine_broker
from nm_agents.cli.doctor.certificates import examine_certificates
from nm_agents.cli.doctor.finding import (
    LEVELS,
    Finding,
    Level,
    fail,
    of_the_federation,
    ok,
    worst,
)
from nm_agents.cli.doctor.host import examine_folder, examine_host
from nm_agents.cli.doctor.member import examine_member
from nm_agents.cli.doctor.network import examine_port, examine_way
from nm_agents.cli.doctor.user import as_owner, examine_access
from nm_agents.cli.options import Config, Json, Timeout, connect_of
from nm_agents.cli.screen.console import say, screen, show, warn
from nm_agents.cli.screen.printable import as_json, cell
from nm_bus.client import Client
from nm_bus.client.carrier import Connect
from nm_bus.errors import ConfigError, NmBusError
from nm_bus.messages import Seconds
from nm_bus.settings import (
    AdministratorSettings,
    MemberSettings,
    Peer,
    SupernodeSettings,
    check,
)
from nm_bus.tables import expanded, toml

Settings = AdministratorSettings | MemberSettings | SupernodeSettings

STYLES = {Level.OK: ("✓", "green"), Level.WARN: ("!", "yellow"), Level.FAIL: ("✖", "bold red")}
FILES = {AdministratorSettings: 256, MemberSettings: 256, SupernodeSettings: 4096}
"""How many files each program may have to open."""


def doctor(
    context: typer.Context,
    *,
    config: Config = None,
    federation: Annotated[
        bool, typer.Option("--federation", help="The federation's findings count, too.")
    ] = False,
    run_checks: Annotated[
        bool, typer.Option("--run-checks", help="Run each of a member's checks once.")
    ] = False,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Say what is wrong, and what to do: one line a finding.

    FILE is the settings of a member, a supernode or an administrator. Run it on the host of the
    program in question, as its user or as root, which looks as that user.

    What a node's supernode says of the whole federation is shown apart: it is not this host's
    fault, so it does not count for the exit code unless --federation is given.

    Example: nm-bus doctor --config /etc/nm-bus/cmip6/member.toml

    Exit codes: 0 all is well, 1 warnings, 2 failures.
    """
    path = settings_path(config)
    found = list(examine(path, connect_of(context), timeout, run_checks=run_checks))
    here = [finding for finding in found if not finding.federation]
    if json:
        say(as_json(found, indent=True))
    else:
        show(screen(), _table(here))
        _show_federation([finding for finding in found if finding.federation])
    raise typer.Exit(LEVELS.index(worst(found if federation else here)))


def _show_federation(found: list[Finding]) -> None:
    if found:
        say("\nThe federation, as its supernode sees it (see --federation):")
        show(screen(), _table(found))


def examine(
    path: Path, connect: Connect | None, timeout: Seconds, *, run_checks: bool = False
) -> Iterator[Finding]:
    """Everything that can be looked at with one settings file."""
    try:
        settings = read_settings(path)
    except ConfigError as error:
        yield fail("settings", f"{error.where}: {error.what}", error.fix)
        return
    yield ok("settings", f"{path}: {_kind(settings)} of project {settings.project}")
    now = datetime.now(UTC)
    with as_owner(expanded(str(settings.folder))) as user:
        # all at once: in between, nobody else should be that user
        here = list(_examine_host(settings, path, user, now, run_checks=run_checks))
    yield from here
    if isinstance(settings, SupernodeSettings):
        yield from examine_port(settings.broker, timeout)
    yield from _examine_supernodes(settings, connect, now, timeout)
    if isinstance(settings, SupernodeSettings):
        yield from examine_broker(settings, timeout)


def _examine_host(
    settings: Settings, path: Path, user: Finding, now: datetime, *, run_checks: bool
) -> Iterator[Finding]:
    if isinstance(settings, AdministratorSettings):
        yield from examine_certificates(settings.tls, "", now)
    else:
        yield user
        yield from examine_access(path)
        yield from examine_certificates(settings.tls, settings.node, now)
    yield from examine_host(expanded(str(settings.folder)), FILES[type(settings)])
    if isinstance(settings, SupernodeSettings):
        yield from examine_folder(settings.folder / "broker", "broker's folder")
    if isinstance(settings, MemberSettings):
        yield from examine_member(settings, run=run_checks)


def _examine_supernodes(
    settings: Settings, connect: Connect | None, now: datetime, timeout: Seconds
) -> Iterator[Finding]:
    answering: list[AdministratorSettings] = []
    for peer in supernodes_of(settings):
        way = list(examine_way(peer.broker, settings.tls, now, timeout))
        yield from way
        if worst(way) is not Level.FAIL:
            asker = _asking(settings, peer)
            answers = list(_examine_answers(asker, connect, timeout, admission(settings)))
            yield from answers
            answering += [asker] if answers[0].level is Level.OK else []
    if isinstance(settings, SupernodeSettings):
        for peer in settings.peers:
            yield from examine_way(peer.broker, settings.link_tls or settings.tls, now, timeout)
    for asker in answering[:1]:
        with Client(asker, timeout=timeout, said=warn, connect=connect) as client:
            found = examine_federation(client)
            asked = isinstance(settings, AdministratorSettings)
            yield from found if asked else of_the_federation(found)


def _examine_answers(
    asker: AdministratorSettings, connect: Connect | None, timeout: Seconds, login: str
) -> Iterator[Finding]:
    try:
        with Client(asker, timeout=timeout, said=warn, connect=connect) as client:
            yield from examine_answers(client, asker.supernodes[0].node, time.time, login)
    except NmBusError as error:
        yield fail("login", error, "see the findings above")


def read_settings(path: Path) -> Settings:
    """Read a settings file of any of the three kinds, by what only one of them has."""
    raw = toml(path)
    if "broker" in raw:
        return check(raw, SupernodeSettings, path)
    return check(raw, MemberSettings if "node" in raw else AdministratorSettings, path)


def supernodes_of(settings: Settings) -> tuple[Peer, ...]:
    """The supernodes that the owner of these settings asks."""
    if isinstance(settings, SupernodeSettings):
        return (Peer(settings.node, settings.broker),)
    return settings.supernodes


def admission(settings: Settings) -> str:
    """How the owner of these settings is admitted at a broker."""
    if isinstance(settings, SupernodeSettings):
        return "`nm-bus broker setup` here"
    if isinstance(settings, MemberSettings):
        return f"at that supernode: `nm-bus broker admit member {settings.node}`"
    return f"at that supernode: `nm-bus broker admit {settings.role}`, with the certificate's name"


def _asking(settings: Settings, peer: Peer) -> AdministratorSettings:
    """Settings that ask one supernode, as whoever these settings belong to."""
    return AdministratorSettings(
        settings.project,
        (peer,),
        settings.tls,
        expanded(str(settings.folder)),
        settings.network,
        settings.timing,
        _role(settings),
    )


def _role(settings: Settings) -> Literal["administrator", "component", "member"]:
    """As what the owner of these settings asks; a supernode may ask as anybody."""
    if isinstance(settings, AdministratorSettings):
        return settings.role
    return "member" if isinstance(settings, MemberSettings) else "administrator"


def _kind(settings: Settings) -> str:
    return type(settings).__name__.removesuffix("Settings").lower()


def _table(found: list[Finding]) -> Table:
    rows = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for finding in found:
        symbol, style = STYLES[finding.level]
        text = f"{finding.text}; {finding.fix}" if finding.fix else finding.text
        sentence = cell(text)
        sentence.no_wrap = False
        rows.add_row(cell(f"{symbol} {finding.level}", style), cell(finding.about, "dim"), sentence)
    return rows
