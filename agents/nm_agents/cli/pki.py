"""`nm-bus pki`: an authority that is good enough for trials, and what certificate files say.

It signs what it is asked to sign, and its key lies in a file: real enrolment replaces it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from nm_agents.cli.options import Json
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.printable import as_json, cell
from nm_agents.cli.screen.table import table
from nm_agents.exits import Exit
from nm_broker.access import user_name
from nm_broker.pki import Authority
from nm_bus.errors import ConfigError
from nm_bus.grants import link_user
from nm_bus.identity.certificates import Certificate, describe
from nm_bus.identity.role import Role

pki = typer.Typer(
    help="A certificate authority for trials; real enrolment replaces it.", no_args_is_help=True
)

MOST_DAYS = 3650
"""Nothing for a trial need hold longer."""

Days = Annotated[
    int, typer.Option("--days", metavar="N", min=1, max=MOST_DAYS, help="How long it holds.")
]


@pki.command(short_help="A new authority.")
def create(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, for you alone.")],
    *,
    days: Days = 365,
    json: Json = False,
) -> None:
    """Make a new authority for trials: ca.crt, for every host, and ca.key, which stays here.

    Who has ca.key can act as anyone. Real enrolment, which is not in this version, replaces it.

    Example: nm-bus pki create pki

    Exit codes: 0 made, 2 something to correct.
    """
    for name in ("ca.crt", "ca.key"):
        if (folder / name).exists():
            what = "is there already, and what it issued would no longer hold"
            raise ConfigError(folder / name, what, "choose a new folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        Authority.create(folder, "nm-bus trial authority", timedelta(days=days))
    except OSError as error:
        raise ConfigError(folder, f"cannot be written: {error.strerror}") from None
    _tell([folder / "ca.crt"], json=json)


@pki.command(short_help="Certificates for hosts, persons, components.")
def issue(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Ids, as sn1.llnl.gov.")],
    *,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="The authority's.")],
    link: Annotated[
        bool, typer.Option("--link", help="For supernodes: their links' certificates as well.")
    ] = False,
    days: Days = 90,
    force: Annotated[bool, typer.Option("--force", help="Renew what is there.")] = False,
    json: Json = False,
) -> None:
    """Issue NAME.crt and NAME.key (mode 0600) for hosts, persons or components.

    The name is who its holder is on the bus; a supernode's is its host name as well. With --link
    also _link.NAME.crt, which its links show to the other supernodes. For trials: real enrolment,
    which is not in this version, replaces it.

    Example: nm-bus pki issue sn1.llnl.gov sn2.dkrz.de --link --folder pki

    Exit codes: 0 issued, 2 something to correct.
    """
    authority = Authority.load(folder)
    wanted = [*names, *(link_user(name) for name in names if link)]
    for name in names:
        user_name(Role.MEMBER, name)
    for name in wanted:
        if (folder / f"{name}.crt").exists() and not force:
            raise ConfigError(folder / f"{name}.crt", "is there already", "--force renews it")
    try:
        for name in wanted:
            authority.issue(name, folder, life=timedelta(days=days))
    except OSError as error:
        raise ConfigError(folder, f"cannot be written: {error.strerror}") from None
    _tell([folder / f"{name}.crt" for name in wanted], json=json)


@pki.command("show", short_help="Whose certificates, until when.")
def show_certificates(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE|DIR...", help="Certificates, or their folder.")
    ],
    *,
    json: Json = False,
) -> None:
    """Show whose certificates these are, and until when they hold.

    Example: nm-bus pki show /etc/nm-bus/cmip6

    Exit codes: 0 all hold, 1 one has expired or does not hold yet, 2 something to correct.
    """
    _tell([file for path in paths for file in _files(path)], json=json)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = sorted(file for kind in ("*.crt", "*.pem") for file in path.glob(kind))
    if not found:
        raise ConfigError(path, "holds no .crt or .pem file", "name the certificate itself")
    yield from found


def _tell(files: list[Path], *, json: bool) -> None:
    now = datetime.now(UTC)
    told = [(file, describe(file)) for file in files]
    if json:
        say(as_json([_data(file, said, now) for file, said in told], indent=True))
    else:
        rows = table("file", "names", "holds until", "days left")
        for file, said in told:
            left = str((said.ends - now).days) if said.holds(now) else "does not hold"
            names = ", ".join(said.names) or "an authority"
            rows.add_row(*map(cell, (str(file), names, f"{said.ends:%Y-%m-%d %H:%M} UTC", left)))
        show(screen(), rows)
    if not all(said.holds(now) for _, said in told):
        raise typer.Exit(Exit.NEGATIVE)


def _data(file: Path, said: Certificate, now: datetime) -> dict[str, object]:
    return {
        "file": str(file),
        "names": said.names,
        "issuer": said.issuer,
        "starts": said.starts.isoformat(),
        "ends": said.ends.isoformat(),
        "holds": said.holds(now),
    }
