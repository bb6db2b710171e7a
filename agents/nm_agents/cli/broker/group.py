"""`nm-bus broker`: a supernode's RabbitMQ, set up and looked at without writing any code.

What a project has on its broker and who may do what stands in `nm_bus.topology` and
`nm_bus.grants`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from nm_agents.cli.broker.files import broker_files, next_steps, purpose
from nm_agents.cli.broker.logins import admit, allowed, names_of, revoke, users
from nm_agents.cli.broker.options import SupernodeFile, opened
from nm_agents.cli.options import Json, Timeout
from nm_agents.cli.placing import Placed, place
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.printable import as_json, cell
from nm_agents.cli.screen.table import table
from nm_agents.exits import Exit
from nm_broker.links import Links
from nm_broker.management import ManagementApi
from nm_broker.project import Principals, bring_up
from nm_broker.service import FOLDER
from nm_broker.standing import gained, logins, standing
from nm_broker.succession import succeed
from nm_bus.core.links import ShovelState
from nm_bus.identity.role import Role
from nm_bus.settings import SupernodeSettings, load
from nm_bus.topology import vhost

GUEST = "guest"
"""Made by RabbitMQ itself at the first start of a system-wide broker; its password is known."""

LISTED = "A name, or a file with a name a line; may be repeated."


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

    Example: nm-bus broker files --config /etc/nm-bus/cmip6/supernode.toml --dry-run

    Exit codes: 0 written or shown, 2 something to correct.
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

    May be repeated: what is there stays and goes on running. Links follow the settings; who was
    admitted stays admitted. Run it again after a change of the supernode's settings.

    Example: nm-bus broker setup --config supernode.toml --members members.txt

    Exit codes: 0 all is there, 2 something to correct, 3 the broker does not answer.
    """
    wanted = Principals(
        tuple(names_of(members or ())),
        tuple(names_of(administrators or ())),
        tuple(names_of(components or ())),
    )
    settings, api = opened(config, timeout)
    succeed(api)
    before = standing(api, vhost(settings.project))
    _make_way(api, settings, wanted)
    bring_up(api, settings, wanted)
    after = standing(api, vhost(settings.project))
    changes = {"made": gained(before, after), "removed": gained(after, before)}
    if json:
        say(as_json(changes, indent=True))
        return
    for word, parts in changes.items():
        for kind, names in parts.items():
            say(f"{word} {kind}: {', '.join(names)}")
    if not any(changes.values()):
        say("nothing to do: all is there")


def _make_way(api: ManagementApi, settings: SupernodeSettings, wanted: Principals) -> None:
    """Refuse names that are somebody else's before anything is made; take `guest` away."""
    known = logins(api, vhost(settings.project))
    allowed(settings.node, known, Role.MEMBER, wanted.members)
    allowed(settings.node, known, Role.ADMINISTRATOR, wanted.administrators)
    allowed(settings.node, known, Role.COMPONENT, wanted.components)
    if GUEST in known and known[GUEST].role is None:
        api.delete_user(GUEST)


def links(*, config: SupernodeFile, json: Json = False, timeout: Timeout = 10.0) -> None:
    """Show the links to the other supernodes as this broker states them.

    A link that is `running` may still be stuck: `nm-bus status` says whether messages arrive.

    Example: nm-bus broker links --config supernode.toml

    Exit codes: 0 all run, 1 one does not, 2 something to correct, 3 the broker does not answer.
    """
    settings, api = opened(config, timeout)
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

    Exit codes: 0 ended by a signal, 2 something to correct, 3 the broker ended by itself.
    """
    from nm_agents.cli.broker.run import chosen_program, run_broker  # noqa: PLC0415  slow to load

    settings = load(config, SupernodeSettings)
    run_broker(settings, config, say, chosen_program(rabbitmq))


_COMMANDS: dict[Callable[..., None], str] = {
    files: "The configuration of a system-wide RabbitMQ.",
    setup: "The project, on the broker that runs.",
    run: "A broker of nm-bus's own, in the foreground.",
    admit: "Let somebody log in.",
    revoke: "Take a login away, at once.",
    users: "Who may log in, and is connected.",
    links: "The links as the broker states them.",
}

broker = typer.Typer(help="A supernode's RabbitMQ: set up, admit, look.", no_args_is_help=True)
for _command, _summary in _COMMANDS.items():
    broker.command(short_help=_summary)(_command)
