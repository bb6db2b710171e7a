"""`nm-bus files`: the example settings and the systemd units that come with nm-bus."""

from importlib.resources import files as resources
from pathlib import Path
from typing import Annotated

import typer

from nm_agents.cli.options import Json
from nm_agents.cli.placing import Placed, place
from nm_agents.cli.screen.console import say
from nm_agents.cli.screen.printable import as_json

files = typer.Typer(
    help="The example settings and systemd units that come with nm-bus.", no_args_is_help=True
)

To = Annotated[
    Path | None,
    typer.Option("--to", metavar="DIR", help="Write them there; without it, only list them."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")]


@files.command(short_help="Example settings, with every key.")
def settings(*, to: To = None, force: Force = False, json: Json = False) -> None:
    """List or write the example settings: member, supernode, administrator, project file.

    `nm-bus setup` writes shorter ones from your answers.

    Example: nm-bus files settings --to /etc/nm-bus/cmip6

    Exit codes: 0 listed or written, 2 a file is there already or cannot be written.
    """
    _give(shipped("configs", ".toml"), to, force=force, json=json)


@files.command(short_help="systemd units of the services.")
def units(*, to: To = None, force: Force = False, json: Json = False) -> None:
    """List or write the systemd units of member, supernode, broker and publisher.

    Example: nm-bus files units --to /etc/systemd/system

    Exit codes: 0 listed or written, 2 a file is there already or cannot be written.
    """
    _give(shipped("units", ".service"), to, force=force, json=json)


def shipped(folder: str, ending: str) -> dict[str, bytes]:
    """The files of this ending in one folder of the installed package, by name."""
    found = (resources("nm_agents") / folder).iterdir()
    return {
        file.name: file.read_bytes()
        for file in sorted(found, key=lambda file: file.name)
        if file.name.endswith(ending)
    }


def _give(known: dict[str, bytes], to: Path | None, *, force: bool, json: bool) -> None:
    if to is not None:
        place([Placed(to / name, content) for name, content in known.items()], force=force)
    names = [str(to / name) if to else name for name in known]
    if json:
        say(as_json(names, indent=True))
        return
    for name in names:
        say(name)
