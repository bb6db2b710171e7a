"""`nm-bus broker`: a supernode's RabbitMQ, set up and looked at without writing any code.

What a project has on its broker and who may do what stands in `nm_broker` and `nm_bus.topology`.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nm_agents.cli.broker_files import broker_files, next_steps, purpose
from nm_agents.cli.console import say, screen, show, warn
from nm_agents.cli.exits import Exit
from nm_agents.cli.figures import plural
from nm_agents.cli.options import Json, Timeout
from nm_agents.cli.placing import Placed, place
from nm_agents.cli.printable import as_json, cell
from nm_agents.cli.status_screen import table
from nm_broker.access import Access
from nm_broker.links import Links
from nm_broker.management import ManagementApi
from nm_broker.project import Principals, bring_up
from nm_broker.service import FOLDER
from nm_broker.standing import Login, gained, logins, standing
from nm_bus.core.links import ShovelState
from nm_bus.errors import ConfigError, RefusedError
from nm_bus.messages import NodeId
from nm_bus.settings import SupernodeSettings, load
from nm_bus.topology import Role, vhost

broker = typer.Typer(help="A supernode's RabbitMQ: set up, admit, look.", no_args_is_help=True)


class Principal(StrEnum):
    """Whom a person may admit and revoke; the other roles follow the settings."""

    MEMBER = "member"
    ADMINISTRATOR = "administrator"
    COMPONENT = "component"


SupernodeFile = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="The supernode's settings file.")
]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Ids, as n1.llnl.gov.")]
As = Annotated[Principal, typer.Argument(metavar="ROLE", help="member, administrator, component.")]


LISTED = "A name, or a file with a name a line; may be repeated."


@broker.command()
def files(
    *,
    config: SupernodeFile,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="RabbitMQ's configuration folder.")
    ] = FOLDER,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    json: Json = False,
) -> None:
    """Write the configuration of a RabbitMQ that runs as the system's service.

    The management user's password is made once and kept in a file (mode 0600). Nothing that is
    there is overwritten without --force. After a renewal of the certificate, run it with --force.

    Example: nm-bus broker files --config /etc/nm-bus/esgf/supernode.toml --dry-run

    Exit codes: 0 written or shown, 2 something to mend.
    """
    settings = load(config, SupernodeSettings)
    folder = folder.absolute()
    wanted = broker_files(settings, folder)
    if not dry_run:
        place(wanted, force=force)
    steps = next_steps(settings, config, folder)
    if json:
        told = [{"path": str(f.path), "mode": f"{f.mode:o}", "for": purpose(f)} for f in wanted]
        say(as_json({"written": not dry_run, "files": told, "next": steps}, indent=True))
        return
    if dry_run:
        _show_contents(wanted)
    rows = table("mode", "would be written" if dry_run else "written", "what it is")
    for file in wanted:
        rows.add_row(cell(f"{file.mode:o}"), cell(str(file.path)), cell(purpose(file), "dim"))
    show(screen(), rows)
    for step in steps:
        say(f"next: {step}")


def _show_contents(wanted: Iterable[Placed]) -> None:
    for file in wanted:
        text = "(a secret, not shown)" if file.is_secret else file.content.decode()
        say(f"--- {file.path}\n{text}")


@broker.command()
def setup(
    *,
    config: SupernodeFile,
    members: Annotated[
        list[str] | None, typer.Option("--members", metavar="FILE|NAME", help=LISTED)
    ] = None,
    administrators: Annotated[
        list[str] | None, typer.Option("--administrators", metavar="FILE|NAME", help=LISTED)
    ] = None,
    components: Annotated[
        list[str] | None, typer.Option("--components", metavar="FILE|NAME", help=LISTED)
    ] = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Bring the project up on the broker that runs: its vhost, queues, users and links.

    May be repeated: what is there stays and goes on running. Links follow the settings; nobody
    whom you admitted is taken away. Run it again after a change of the supernode's settings.

    Example: nm-bus broker setup --config supernode.toml --members members.txt

    Exit codes: 0 all is there, 2 something to mend, 3 the broker does not answer.
    """
    settings, api = _opened(config, timeout)
    place_ = vhost(settings.project)
    wanted = {
        Role.MEMBER: names_of(members or ()),
        Role.ADMINISTRATOR: names_of(administrators or ()),
        Role.COMPONENT: names_of(components or ()),
    }
    before = standing(api, place_)
    known = logins(api, place_)
    for role, names in wanted.items():
        allowed(settings.node, known, role, names)
    bring_up(api, settings, Principals(*(tuple(names) for names in wanted.values())))
    after = standing(api, place_)
    made, gone = gained(before, after), gained(after, before)
    if json:
        say(as_json({"made": made, "removed": gone}, indent=True))
        return
    for word, parts in (("made", made), ("removed", gone)):
        for kind, names in parts.items():
            say(f"{word} {kind}: {', '.join(names)}")
    if not made and not gone:
        say("nothing to do: all is there")


@broker.command()
def admit(
    role: As, names: Names, *, config: SupernodeFile, json: Json = False, timeout: Timeout = 10.0
) -> None:
    """Let somebody log in at this broker, by certificate, with the rights of a role.

    A member is admitted at its home; an administrator at each supernode.

    Example: nm-bus broker admit member n1.llnl.gov n2.llnl.gov --config supernode.toml

    Exit codes: 0 admitted, 2 something to mend, 3 the broker does not answer.
    """
    settings, api = _opened(config, timeout)
    known = logins(api, vhost(settings.project))
    allowed(settings.node, known, Role(role), names)
    access = Access(api, vhost(settings.project))
    for name in names:
        access.admit(Role(role), name)
    new = [name for name in names if name not in known]
    if json:
        say(as_json({"role": role, "admitted": names, "new": new}, indent=True))
    else:
        for name in names:
            say(f"{name} may log in as {role}" + ("" if name in new else ", as before"))


@broker.command()
def revoke(
    role: As, names: Names, *, config: SupernodeFile, json: Json = False, timeout: Timeout = 10.0
) -> None:
    """Take somebody's login away at this broker: connections are cut at once.

    Who was admitted at several supernodes is to be revoked at each of them.

    Example: nm-bus broker revoke member n1.llnl.gov --config supernode.toml

    Exit codes: 0 revoked, 1 somebody was not admitted, 2 something to mend, 3 the broker does not
    answer.
    """
    settings, api = _opened(config, timeout)
    known = logins(api, vhost(settings.project))
    allowed(settings.node, known, Role(role), names)
    there = [name for name in names if name in known]
    for name in there:
        Access(api, vhost(settings.project)).revoke(Role(role), name)
    missing = [name for name in names if name not in known]
    if json:
        say(as_json({"role": role, "revoked": there, "unknown": missing}, indent=True))
    else:
        for name in there:
            say(f"{name} is revoked: {plural(known[name].connections, 'connection')} cut")
        for name in missing:
            warn(f"{name} was not admitted here; see `nm-bus broker users`")
    raise typer.Exit(Exit.NEGATIVE if missing else Exit.OK)


@broker.command()
def users(*, config: SupernodeFile, json: Json = False, timeout: Timeout = 10.0) -> None:
    """Show who may log in at this broker, as what, and whether they are connected.

    Example: nm-bus broker users --config supernode.toml

    Exit codes: 0 shown, 2 something to mend, 3 the broker does not answer.
    """
    settings, api = _opened(config, timeout)
    found = logins(api, vhost(settings.project)).values()
    if json:
        say(as_json(list(found), indent=True))
        return
    rows = table("user", "role", "connections")
    for login in found:
        connected_as = str(login.connections or "-")
        rows.add_row(cell(login.name), cell(login.role or "unknown rights"), cell(connected_as))
    show(screen(), rows)


@broker.command()
def links(*, config: SupernodeFile, json: Json = False, timeout: Timeout = 10.0) -> None:
    """Show the links to the other supernodes as this broker states them.

    A link that is `running` may still be stuck: `nm-bus status` says whether messages arrive.

    Example: nm-bus broker links --config supernode.toml

    Exit codes: 0 all run, 1 one does not, 2 something to mend, 3 the broker does not answer.
    """
    settings, api = _opened(config, timeout)
    found = Links(api, settings).look()
    if json:
        seen = [
            {"peer": peer, "kind": kind, "state": look.state, "reason": look.reason,
             "ready": look.ready, "unacked": look.unacked, "moved": look.acked}
            for (peer, kind), look in found.items()
        ]  # fmt: skip
        say(as_json(seen, indent=True))
    else:
        rows = table("to", "link", "state", "waiting", "moved", "reason")
        for (peer, kind), look in found.items():
            waiting, moved = str(look.ready + look.unacked), str(look.acked)
            rows.add_row(*map(cell, (peer, kind, look.state, waiting, moved, look.reason)))
        show(screen(), rows)
    running = all(look.state is ShovelState.RUNNING for look in found.values())
    raise typer.Exit(Exit.OK if running else Exit.NEGATIVE)


@broker.command()
def run(
    *,
    config: SupernodeFile,
    rabbitmq: Annotated[
        Path | None,
        typer.Option("--rabbitmq", metavar="DIR", help="Where another RabbitMQ's scripts are."),
    ] = None,
) -> None:
    """Run the broker here, as an ordinary user, with the project on it; Ctrl-C or SIGTERM ends it.

    For a site that wants no system-wide RabbitMQ. Its data stays in `broker` in the supernode's
    folder. It serves `broker.address`, else every address; the management API this machine alone.

    Example: nm-bus broker run --config supernode.toml

    Exit codes: 0 ended as told, 2 something to mend, 3 the broker ended by itself.
    """
    from nm_agents.cli.broker_run import chosen_program, run_broker  # noqa: PLC0415  slow to load

    settings = load(config, SupernodeSettings)
    run_broker(settings, config, say, chosen_program(rabbitmq))


def _opened(config: Path, timeout: float) -> tuple[SupernodeSettings, ManagementApi]:
    settings = load(config, SupernodeSettings)
    return settings, ManagementApi.described(settings.management, timeout)


def names_of(given: Iterable[str]) -> list[str]:
    """What was named, and what stands in the files that were named; each once."""
    found = [name for item in given for name in _listed(item)]
    return list(dict.fromkeys(found))


def _listed(item: str) -> list[str]:
    path = Path(item)
    if not path.is_file():
        if "/" in item:
            raise ConfigError(path, "the file is not there", "give a file with a name a line")
        return [item]
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"cannot be read: {error}") from None
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def allowed(node: NodeId, known: dict[str, Login], role: Role, names: Iterable[str]) -> None:
    """Raise when a name is somebody else here: one command must not take another role's rights."""
    for name in names:
        if name == node:
            raise RefusedError(f"{name} is this supernode itself; name another")
        now = known[name].role if name in known else None
        if now not in (None, role):
            mend = f"`nm-bus broker revoke {now} {name}` takes that away"
            raise RefusedError(f"{name} is admitted as {now}, not as {role}; {mend}")
