"""`nm-bus broker admit`, `revoke`, `users`: who may log in at one supernode's broker.

What a role may do stands in `nm_bus.grants`. Here is what keeps one command from taking the
rights of another role away.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nm_agents.cli.broker.options import SupernodeFile, opened
from nm_agents.cli.options import Json, Timeout
from nm_agents.cli.screen.console import say, screen, show, warn
from nm_agents.cli.screen.figures import plural
from nm_agents.cli.screen.printable import as_json, cell
from nm_agents.cli.screen.table import table
from nm_agents.exits import Exit
from nm_broker.access import Access, user_name
from nm_broker.standing import Login, logins
from nm_bus.errors import ConfigError, RefusedError
from nm_bus.identity.role import Role
from nm_bus.messages import NodeId
from nm_bus.tables import TEXT
from nm_bus.topology import vhost


class Principal(StrEnum):
    """Whom a person may admit and revoke; the other roles follow the settings."""

    MEMBER = "member"
    ADMINISTRATOR = "administrator"
    COMPONENT = "component"


Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Ids, as n1.llnl.gov.")]
As = Annotated[Principal, typer.Argument(metavar="ROLE", help="member, administrator, component.")]


def admit(
    role: As, names: Names, *, config: SupernodeFile, json: Json = False, timeout: Timeout = 10.0
) -> None:
    """Let somebody log in at this broker, by certificate, with the rights of a role.

    A member is admitted at its home; an administrator at each supernode.

    Example: nm-bus broker admit member n1.llnl.gov n2.llnl.gov --config supernode.toml

    Exit codes: 0 admitted, 2 something to correct, 3 the broker does not answer.
    """
    settings, api = opened(config, timeout)
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


def revoke(
    role: As, names: Names, *, config: SupernodeFile, json: Json = False, timeout: Timeout = 10.0
) -> None:
    """Take somebody's login away at this broker: connections are cut at once.

    Who was admitted at several supernodes is to be revoked at each of them.

    Example: nm-bus broker revoke member n1.llnl.gov --config supernode.toml

    Exit codes: 0 revoked, 1 somebody was not admitted, 2 something to correct, 3 the broker does
    not answer.
    """
    settings, api = opened(config, timeout)
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


def users(*, config: SupernodeFile, json: Json = False, timeout: Timeout = 10.0) -> None:
    """Show who may log in at this broker, as what, and whether they are connected.

    Example: nm-bus broker users --config supernode.toml

    Exit codes: 0 shown, 2 something to correct, 3 the broker does not answer.
    """
    settings, api = opened(config, timeout)
    found = logins(api, vhost(settings.project)).values()
    if json:
        say(as_json(list(found), indent=True))
        return
    rows = table("user", "role", "connections")
    for login in found:
        connected_as = str(login.connections or "-")
        rows.add_row(cell(login.name), cell(login.role or "unknown rights"), cell(connected_as))
    show(screen(), rows)


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
        lines = path.read_text(encoding=TEXT).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"cannot be read: {error}") from None
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def allowed(node: NodeId, known: dict[str, Login], role: Role, names: Iterable[str]) -> None:
    """Raise when a name is no id, or is somebody else here whose rights would be lost."""
    for name in names:
        user_name(role, name)
        if name == node:
            raise RefusedError(f"{name} is this supernode itself; name another")
        now = known[name].role if name in known else None
        if now not in (None, role):
            fix = f"`nm-bus broker revoke {now} {name}` takes that away"
            raise RefusedError(f"{name} is admitted as {now}, not as {role}; {fix}")
