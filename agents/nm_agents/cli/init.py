"""`nm-bus init`: a supernode's ledger, from the project file or again, or a new epoch of it."""

import getpass
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from nm_agents.cli.confirming import DryRun, confirm
from nm_agents.cli.options import Json
from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import say
from nm_agents.cli.screen.printable import as_json
from nm_agents.exits import Exit
from nm_agents.supernode.ledger.creation import Made, at_stake, begin, begin_again
from nm_agents.supernode.ledger.new_epoch import Survivor, renew, survey
from nm_bus.core.ledger.genesis import INCARNATION
from nm_bus.errors import ConfigError
from nm_bus.identity.signing import Signer
from nm_bus.project import load_project
from nm_bus.settings import SupernodeSettings, load


def init(
    *,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The supernode's.")],
    project: Annotated[
        Path | None, typer.Option("--project", metavar="FILE", help="The project file.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="As a new incarnation, which the others must admit.")
    ] = False,
    new_epoch: Annotated[
        bool,
        typer.Option("--new-epoch", help="A majority is lost for good: go on alone from here."),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do it without asking; a new epoch begins with it only."),
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make a supernode's ledger from the project file, which is the same for all of the first ones.

    They may be made and started in any order; a second time does nothing. With --replace the
    supernode joins as another one, without a vote, and takes all from the others: for a disk that
    was lost, damaged or restored from a backup. The earlier file is put aside; with --project as
    well, for a ledger that began with a wrong project file, it begins again from the right one.

    It prints the project file's fingerprint, for comparing with the other supernodes': those with
    different ones do not count each other's votes.

    With --new-epoch, on the survivor with the highest height and while it is stopped, it goes on
    alone after a majority of voters was lost for good; without --yes it only says what may be lost.

    Example: nm-bus init --project project.toml --config supernode.toml

    Exit codes: 0 it is there, 1 it was not confirmed, 2 something to correct.
    """
    if new_epoch == (replace or project is not None):
        fix = "give --project FILE, or --replace, or both, or --new-epoch [--yes]"
        raise ConfigError(config, "needs to know what to begin with", fix)
    settings = load(config, SupernodeSettings)
    if new_epoch:
        _renew(settings, yes=yes and not dry_run, json=json)
        return
    given = load_project(project) if project is not None else None
    if replace and (earlier := at_stake(settings)):
        confirm(earlier, yes=yes, dry_run=dry_run)
    if given is None or project is None:
        made = begin_again(settings)
    else:
        made = begin(settings, given, project, replace=replace)
    _say(_data(made), _lines(made), json=json)


def _renew(settings: SupernodeSettings, *, yes: bool, json: bool) -> None:
    """PageView, or begin the epoch."""
    found = survey(settings)
    if not yes:
        _say({"before": _standing(found), "begun": None}, _warning(found), json=json)
        raise typer.Exit(Exit.NEGATIVE)
    moment = round(time.time() * 1_000_000)
    sign = Signer.load(settings.tls).sign
    before, after = renew(settings, by=_who(), moment=moment, sign=sign)
    _say({"before": _standing(before), "begun": _standing(after)}, _begun(after), json=json)


def _who() -> str:
    """Who is logged in; the number of a user whom the system has no name for."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _say(data: dict[str, object], lines: Iterable[str], *, json: bool) -> None:
    if json:
        say(as_json(data, indent=True))
    else:
        for line in lines:
            say(line)


def _warning(found: Survivor) -> Iterator[str]:
    """What this survivor has, and what goes with the others."""
    yield f"{found.path}: the ledger of {found.voter}"
    yield f"epoch {found.epoch}, revision {found.revision}, height {found.height}"
    yield f"head {found.head}"
    yield f"last change at {figures.agreed(found.time)}; {found.waiting} wait here to be agreed"
    yield "Compare with the other survivors (nm-bus supernode list): take the highest height."
    yield "A new epoch goes on without " + (", ".join(found.others) or "anybody else") + "."
    yield "What may be lost: changes that the others agreed on after this height, and changes that"
    yield "were accepted elsewhere only. Locks granted after it may be granted again, with tokens"
    yield "that were given before. Supernodes of the old epoch must join again: init --replace"
    yield "Nothing was changed. To begin the new epoch, say the same with --yes"


def _begun(after: Survivor) -> Iterator[str]:
    yield f"{after.path}: epoch {after.epoch} begins with revision {after.revision}"
    yield f"{after.voter} is its only voter; {after.waiting} changes that wait are offered again"
    yield "Start it now. Every other supernode joins again: nm-bus init --replace --config FILE"


def _standing(survivor: Survivor) -> dict[str, object]:
    return {
        "ledger": str(survivor.path),
        "voter": survivor.voter,
        "epoch": survivor.epoch,
        "revision": survivor.revision,
        "head": survivor.head,
        "height": survivor.height,
        "time": survivor.time / 1_000_000,
        "others": list(survivor.others),
        "waiting": survivor.waiting,
    }


def admission(made: Made) -> str:
    """The command by which an administrator admits a new incarnation."""
    return f"nm-bus supernode add {made.node} --incarnation {made.incarnation}"


def _fingerprint(made: Made) -> list[str]:
    """What administrators compare by telephone before the first start."""
    if not made.beginning:
        return []
    return [f"The project file's fingerprint, the same at each supernode: {made.beginning}"]


def _aside(made: Made) -> list[str]:
    told = [f"{made.aside}: the earlier ledger, put aside"] if made.aside else []
    if made.carried:
        told.append(f"{made.carried} changes that it had accepted are offered again")
    return told


def _lines(made: Made) -> list[str]:
    joined = made.incarnation != INCARNATION
    if not made.new:
        how = "joined again" if joined else "as this project file says"
        found = f"{made.path}: is there already, {how}; nothing was changed"
        return [found, *(_to_admit(made) if joined else _fingerprint(made))]
    if not joined:
        ready = f"{made.path}: made for {made.node}; start it when you like"
        return [*_aside(made), ready, *_fingerprint(made)]
    return [
        *_aside(made),
        f"{made.path}: made for {made.node}, as the new incarnation {made.incarnation}",
        *_to_admit(made),
    ]


def _to_admit(made: Made) -> list[str]:
    return [
        f"An administrator must admit it: {admission(made)}",
        f"and give it its vote once it has caught up: nm-bus supernode promote {made.node}",
    ]


def _data(made: Made) -> dict[str, object]:
    return {
        "ledger": str(made.path),
        "node": made.node,
        "incarnation": made.incarnation,
        "new": made.new,
        "aside": str(made.aside) if made.aside else None,
        "carried": made.carried,
        "fingerprint": made.beginning or None,
        "admission": admission(made) if made.incarnation != INCARNATION else None,
    }
