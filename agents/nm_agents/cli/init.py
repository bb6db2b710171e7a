"""`nm-bus init`: a supernode's ledger, from the project file or anew."""

from pathlib import Path
from typing import Annotated

import typer

from nm_agents.cli.console import say
from nm_agents.cli.options import Json
from nm_agents.cli.printable import as_json
from nm_agents.supernode.ledger.making import Made, begin, begin_anew
from nm_bus.errors import ConfigError
from nm_bus.project import load_project
from nm_bus.settings import SupernodeSettings, load


def init(
    *,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The supernode's.")],
    project: Annotated[
        Path | None, typer.Option("--project", metavar="FILE", help="The project file.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="As a new incarnation, which the others must admit.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a supernode's ledger from the project file, which is the same for all of the first ones.

    They may be made and started in any order; a second time does nothing. With --anew the supernode
    joins as another one, without a vote, and takes all from the others: for a disk that was lost,
    damaged or restored from a backup. The earlier file is put aside.

    Example: nm-bus init --project project.toml --config supernode.toml

    Exit codes: 0 it is there, 2 something to mend.
    """
    if anew is (project is not None):
        raise ConfigError(config, "needs one of two things", "give --project FILE, or --anew")
    settings = load(config, SupernodeSettings)
    if project is None:
        made = begin_anew(settings)
    else:
        made = begin(settings, load_project(project), project)
    if json:
        say(as_json(_data(made), indent=True))
    else:
        for line in _lines(made):
            say(line)


def admission(made: Made) -> str:
    """The command by which an administrator admits a new incarnation."""
    return f"nm-bus supernode add {made.node} --incarnation {made.incarnation}"


def _lines(made: Made) -> list[str]:
    if not made.new:
        return [f"{made.path}: is there already, as this project file says; nothing was changed"]
    if made.incarnation == "genesis":
        return [f"{made.path}: made for {made.node}; start it when you like"]
    aside = [f"{made.aside}: the earlier ledger, put aside"] if made.aside else []
    return [
        *aside,
        f"{made.path}: made for {made.node}, anew as {made.incarnation}",
        f"An administrator must admit it: {admission(made)}",
    ]


def _data(made: Made) -> dict[str, object]:
    return {
        "ledger": str(made.path),
        "node": made.node,
        "incarnation": made.incarnation,
        "new": made.new,
        "aside": str(made.aside) if made.aside else None,
        "admission": admission(made) if made.incarnation != "genesis" else None,
    }
