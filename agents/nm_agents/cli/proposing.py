"""How a command asks for a change, and says what became of it: accepted is not agreed."""

from collections.abc import Callable
from typing import Any

import msgspec
import typer

from nm_agents.cli.options import Config, connected
from nm_agents.cli.screen.console import say
from nm_agents.cli.screen.printable import as_json, printable
from nm_agents.exits import Exit
from nm_bus.client import Client
from nm_bus.errors import UndecidedError
from nm_bus.messages import Proposed, Seconds


def ask_for(key: str, ask: Callable[[], Proposed], *, json: bool) -> Proposed:
    """Ask, and say what became of it: agreed is success, accepted is exit code 3."""
    try:
        proposed = ask()
    except UndecidedError as error:
        if not error.accepted_by:
            raise
        _say(key, Proposed(error.id, "accepted", reason=str(error)), json)
        raise typer.Exit(Exit.LATER) from None
    _say(key, proposed, json)
    return proposed


def propose(
    context: typer.Context,
    config: Config,
    timeout: Seconds,
    change: tuple[str, str, dict[str, Any] | None],
    *,
    json: bool,
    sure: Callable[[Client], None] = lambda _client: None,
) -> None:
    """Ask for a change (its kind, key and value), and say what became of it. `sure` is called
    before, and returns only when that is wanted (see `confirming`)."""
    kind, key, value = change
    with connected(context, config, timeout) as client:
        sure(client)
        ask_for(key, lambda: client.propose(kind, key, value), json=json)


def _say(key: str, proposed: Proposed, json: bool) -> None:
    if json:
        say(as_json({"key": key, **msgspec.to_builtins(proposed)}))
    elif proposed.state == "agreed":
        say(f"{key}: agreed at revision {proposed.revision}")
    else:
        later = f"see `nm-bus outcome {printable(proposed.id)} --wait 60`"
        say(f"{key}: accepted, not agreed yet (id {printable(proposed.id)}); {later}")
