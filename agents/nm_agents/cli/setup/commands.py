"""The commands: ask, read the certificate, write one settings file, say what comes next."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import tomli_w
import typer
from rich.prompt import Prompt

from nm_agents.cli.configuration import USUAL
from nm_agents.cli.options import Json
from nm_agents.cli.placing import Placed, place
from nm_agents.cli.screen.console import say, screen
from nm_agents.cli.screen.printable import as_json
from nm_bus.errors import ConfigError
from nm_bus.grants import LINK_PREFIX, link_user
from nm_bus.identity.certificates import user_of
from nm_bus.settings import (
    PRESETS,
    AdministratorSettings,
    MemberSettings,
    SupernodeSettings,
    Tls,
    check,
)
from nm_bus.tables import expanded

# --- Questions to a person at a terminal; elsewhere every answer comes from an option or a default.


@dataclass(frozen=True, slots=True)
class Questions:
    """Asks only where somebody can answer."""

    asks: bool

    @classmethod
    def at_terminal(cls) -> "Questions":
        """Ask when input and messages are a terminal."""
        return cls(sys.stdin.isatty() and sys.stderr.isatty())

    def one(self, option: str, question: str, given: str, default: str = "") -> str:
        """The answer to one question. Raises ConfigError when there is none."""
        if given:
            return given
        if self.asks:
            return self._answer(question, default)
        if default:
            return default
        raise ConfigError(option, "is needed", f"give {option}, or run this at a terminal")

    def several(self, option: str, question: str, given: list[str], default: str = "") -> list[str]:
        """The answer to a question for a list, separated by blanks; it may be empty with `-`."""
        if given:
            return given
        answer = self.one(option, f"{question} (separated by blanks)", "", default)
        return [] if answer == "-" else answer.split()

    def _answer(self, question: str, default: str) -> str:
        """Ask until there is an answer; an end of input is a Ctrl-C."""
        console, answer = screen(sys.stderr), ""
        while not answer:
            try:
                given: Any = Prompt.ask(question, console=console, default=default or ...)
                answer = given.strip()
            except EOFError:
                raise KeyboardInterrupt from None
        return answer


# --- Where a broker is, as it is written on a command line: `sn1.llnl.gov[@ADDRESS][:PORT]`.

AMQPS = 5671


def place_of(option: str, text: str) -> tuple[str, dict[str, Any]]:
    """A node and its table `broker` in a settings file; raises ConfigError.

    An IPv6 address stands in brackets: `sn1.llnl.gov@[2001:db8::1]:5671`.
    """
    node, at, rest = text.partition("@")
    if not at:
        node, colon, port = text.partition(":")
        rest = f"{colon}{port}"
    try:
        parts = urlsplit(f"//{rest}")
        address, port_number = parts.hostname or "", parts.port
        is_place = not (parts.path or parts.query or parts.fragment or "@" in rest)
    except ValueError:
        is_place = False
    if not is_place or port_number == 0:
        fix = "give NODE[@ADDRESS][:PORT], an IPv6 address in brackets: NODE@[::1]:5671"
        raise ConfigError(option, f"{text!r} cannot be read", fix)
    table: dict[str, Any] = {"host": node, "port": port_number or AMQPS}
    return node, table | ({"address": address} if address else {})


# --- The certificate files of a node or a person: found beside each other, and read once.


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a certificate is of, and its files."""

    name: str
    tls: Tls

    @classmethod
    def read(cls, certificate: Path) -> "Identity":
        """Read NAME.crt, with NAME.key and ca.crt beside it.

        Raises ConfigError when a file is missing or the broker would refuse the certificate.
        """
        here = expanded(str(certificate)).absolute()
        tls = Tls(here.with_name("ca.crt"), here, here.with_suffix(".key"))
        return cls(user_of(tls), tls)

    def link(self) -> "Identity":
        """The certificate of this supernode's links, which lies beside its own."""
        name = link_user(self.name)
        return Identity.read(self.tls.certificate.with_name(f"{name}.crt"))

    def table(self) -> dict[str, str]:
        """The three files as a table of a settings file."""
        return {
            "ca": str(self.tls.ca),
            "certificate": str(self.tls.certificate),
            "key": str(self.tls.key),
        }


def likely(folder: Path) -> str:
    """The one certificate in a folder that is no authority's and no link's; empty if unclear."""
    try:
        found = [
            file
            for file in folder.glob("*.crt")
            if file.name != "ca.crt" and not file.name.startswith(LINK_PREFIX)
        ]
    except OSError as error:
        raise ConfigError(folder, f"cannot be read: {error.strerror}") from None
    return str(found[0]) if len(found) == 1 else ""


setup = typer.Typer(
    help="Settings files from a few questions and a certificate.", no_args_is_help=True
)

ETC, STATE = Path("/etc/nm-bus"), Path("/var/lib/nm-bus")

Project = Annotated[str, typer.Option("--project", metavar="NAME", help="The project's name.")]
Certificate = Annotated[
    str,
    typer.Option(
        "--certificate",
        metavar="FILE",
        help="NAME.crt, with NAME.key and ca.crt beside it.",
    ),
]
Network = Annotated[
    str, typer.Option("--network", metavar="NAME", help="local, lan or wan: sets all timings.")
]
Folder = Annotated[
    str, typer.Option("--folder", metavar="DIR", help="What the program keeps (else the usual).")
]
To = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Else the usual place.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that differs.")]


@setup.command(short_help="A member's settings.")
def member(
    *,
    project: Project = "",
    certificate: Certificate = "",
    supernode: Annotated[
        list[str] | None,
        typer.Option(
            "--supernode",
            metavar="NODE",
            help="Its home, then others: NODE[@ADDRESS][:PORT]; repeated, tried in this order.",
        ),
    ] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option("--mount", metavar="DIR", help="A disk to watch; may be repeated."),
    ] = None,
    network: Network = "",
    folder: Folder = "",
    to: To = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a member's settings file: what is not given as an option is asked at a terminal.

    Checks, documents and properties are added by hand: `nm-bus files settings` has examples.

    Example: nm-bus setup member --project cmip6 --supernode sn1.llnl.gov

    Exit codes: 0 written, 2 something to correct.
    """
    ask = Questions.at_terminal()
    project = _project(ask, project)
    identity = _identity(ask, certificate, ETC / project)
    homes = ask.several("--supernode", "Its home, then other supernodes to try", supernode or [])
    mounts = ask.several("--mount", "Disks to watch, as mount points", mount or [], "/")
    raw = {
        "project": project,
        "node": identity.name,
        "folder": str(Path(folder or STATE / project).absolute()),
        "network": _network(ask, network),
        "supernodes": _supernodes("--supernode", homes),
        "tls": identity.table(),
        "metrics": {"mounts": mounts},
    }
    path = to or ETC / project / "member.toml"
    check(raw, MemberSettings, path)
    run = f"nm-bus member run --config {path}"
    _write(path, raw, f"nm-bus doctor --config {path}", run, force=force, json=json)


@setup.command(short_help="A supernode's settings.")
def supernode(
    *,
    project: Project = "",
    certificate: Certificate = "",
    peer: Annotated[
        list[str] | None,
        typer.Option(
            "--peer", metavar="NODE", help="Another supernode: NODE[@ADDRESS][:PORT]; repeated."
        ),
    ] = None,
    address: Annotated[
        str, typer.Option("--address", metavar="ADDRESS", help="Where its broker listens, if one.")
    ] = "",
    management: Annotated[
        str, typer.Option("--management", metavar="URL", help="The broker's management API.")
    ] = "http://127.0.0.1:15672",
    network: Network = "",
    folder: Folder = "",
    to: To = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a supernode's settings file: what is not given as an option is asked at a terminal.

    With peers, the certificate of its links, _link.NODE.crt, must lie beside its own.

    Example: nm-bus setup supernode --project cmip6 --peer sn2.dkrz.de --peer sn3.ceda.ac.uk

    Exit codes: 0 written, 2 something to correct.
    """
    ask = Questions.at_terminal()
    project = _project(ask, project)
    identity = _identity(ask, certificate, ETC / project)
    peers = ask.several("--peer", "The other supernodes, or - for none", peer or [], "-")
    state = Path(folder or STATE / project / "supernode").absolute()
    raw: dict[str, Any] = {
        "project": project,
        "node": identity.name,
        "folder": str(state),
        "network": _network(ask, network),
        "broker": {"host": identity.name} | ({"address": address} if address else {}),
        "tls": identity.table(),
        "management": {
            "url": management,
            "password_file": str(state / "management.password"),
        },
    }
    if peers:
        raw["link_tls"] = identity.link().table()
        raw["peers"] = _supernodes("--peer", peers)
    path = to or ETC / project / "supernode.toml"
    check(raw, SupernodeSettings, path)
    run = f"nm-bus broker run --config {path}"
    _write(path, raw, run, f"nm-bus doctor --config {path}", force=force, json=json)


@setup.command(short_help="An administrator's or a component's settings.")
def admin(
    *,
    project: Project = "",
    certificate: Certificate = "",
    supernode: Annotated[
        list[str] | None,
        typer.Option(
            "--supernode",
            metavar="NODE",
            help="One to ask: NODE[@ADDRESS][:PORT]; repeated, tried in this order.",
        ),
    ] = None,
    component: Annotated[
        bool, typer.Option("--component", help="For a component, not for an administrator.")
    ] = False,
    network: Network = "",
    to: To = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write the settings of an administrator, or with --component those of a component.

    Example: nm-bus setup admin --project cmip6 --supernode sn1.llnl.gov --supernode sn2.dkrz.de

    Exit codes: 0 written, 2 something to correct.
    """
    ask = Questions.at_terminal()
    project = _project(ask, project)
    path = to or expanded(USUAL)
    identity = _identity(ask, certificate, path.parent)
    supernodes = ask.several("--supernode", "The supernodes to ask, in this order", supernode or [])
    raw = {
        "project": project,
        "role": "component" if component else "administrator",
        "network": _network(ask, network),
        "tls": identity.table(),
        "supernodes": _supernodes("--supernode", supernodes),
    }
    check(raw, AdministratorSettings, path)
    option = "" if path == expanded(USUAL) else f" --config {path}"
    status = f"nm-bus status{option}"
    _write(path, raw, f"nm-bus doctor{option}", status, force=force, json=json)


def _project(ask: Questions, given: str) -> str:
    return ask.one("--project", "The project's name", given)


def _network(ask: Questions, given: str) -> str:
    network = ask.one("--network", "The network: local, lan or wan", given, "wan")
    if network not in PRESETS:
        raise ConfigError("--network", f"{network!r} is not known", "use local, lan or wan")
    return network


def _identity(ask: Questions, given: str, folder: Path) -> Identity:
    """Whose certificate it is. It is looked for where it is meant to be, and here."""
    default = likely(folder) or likely(Path.cwd())
    return Identity.read(Path(ask.one("--certificate", "The certificate's file", given, default)))


def _supernodes(option: str, texts: list[str]) -> list[dict[str, Any]]:
    places = [place_of(option, text) for text in texts]
    return [{"node": node, "broker": broker} for node, broker in places]


def _write(path: Path, raw: dict[str, Any], *next_steps: str, force: bool, json: bool) -> None:
    header = "# Written by `nm-bus setup`. `nm-bus files settings` has every other key.\n\n"
    place([Placed(path, (header + tomli_w.dumps(raw)).encode())], force=force)
    if json:
        say(as_json({"file": str(path), "next": next_steps}, indent=True))
        return
    say(f"{path}: written")
    for step in next_steps:
        say(f"next: {step}")
