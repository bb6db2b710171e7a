"""`nm-bus show REV`: one revision of the ledger, whole."""

from typing import Annotated, Any

import typer

from nm_agents.cli.config.past import MissingPast
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.entries import moment, pairs
from nm_agents.cli.screen.printable import as_json
from nm_bus.client import Client
from nm_bus.errors import RefusedError
from nm_bus.messages import Update


def show_revision(
    context: typer.Context,
    revision: Annotated[int, typer.Argument(metavar="REV", min=1, help="A revision.")],
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show one revision: the change, who asked for it where, and its place in the hash chain.

    Example: nm-bus show 812

    Exit codes: 0 shown, 2 there is no such revision or something to correct, 3 no answer, or
    another supernode may have it.
    """
    with connected(context, config, timeout) as client:
        update = _update(client, revision)
    if json:
        say(as_json(update, indent=True))
    else:
        show(screen(), pairs(_fields(update)))


def _update(client: Client, revision: int) -> Update:
    found = client.revision(revision)
    if found is not None:
        return found
    missing = MissingPast.of(client)
    if missing.since > revision:
        raise missing.error(f"revision {revision}")
    newest = client.standing().revision
    raise RefusedError(f"revision {revision} is not there yet: {newest} is the newest one")


def _fields(update: Update) -> dict[str, Any]:
    change = update.change
    condition = {} if change.expected is None else {"if revision": change.expected}
    return {
        "revision": update.revision,
        "epoch": update.epoch,
        "agreed": moment(update.time),
        "accepted": f"{moment(change.timestamp)} at {change.supernode}",
        "by": change.actor,
        "what": change.kind,
        "key": change.key,
        "based on": change.base,
        **condition,
        **{f"value {name}": value for name, value in (change.value or {}).items()},
        "change": change.id,
        "signed with": change.signer or "nothing",
        "previous": update.previous,
        "head": update.head,
    }
