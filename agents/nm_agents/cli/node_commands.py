"""How the commands are made that ask for a change of one node: `member leave`, `supernode promote`.

Such a command is a function of the node's id that gives the change: its name is the command's word,
its docstring the help. The options, the asking and the answer are the same for all of them.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from nm_agents.cli.confirming import DryRun, Yes, confirm
from nm_agents.cli.options import Config, Json, Timeout
from nm_agents.cli.proposing import propose
from nm_bus.client import Client
from nm_bus.messages import NodeId

Wanted = tuple[str, str, dict[str, Any] | None]
"""A kind of change, a key, a value."""

ChangeOf = Callable[[NodeId], Wanted]


def _lower(node: str) -> str:
    return node.lower()


NodeArgument = Annotated[
    str, typer.Argument(metavar="NODE", callback=_lower, help="A node id, as n1.llnl.gov.")
]


def asks(group: typer.Typer, summary: str) -> Callable[[ChangeOf], ChangeOf]:
    """Make a function the command of its name, which asks for the change that it gives."""

    def make(change_of: ChangeOf) -> ChangeOf:
        def command(
            context: typer.Context,
            node: NodeArgument,
            *,
            config: Config = None,
            json: Json = False,
            timeout: Timeout = 20.0,
        ) -> None:
            propose(context, config, timeout, change_of(node), json=json)

        return _named(group, summary, change_of, command)

    return make


def asks_once_sure(
    group: typer.Typer, summary: str, means: Callable[[Client, NodeId], str]
) -> Callable[[ChangeOf], ChangeOf]:
    """The same for what is not easily undone: what it `means` is said, and has to be confirmed."""

    def make(change_of: ChangeOf) -> ChangeOf:
        def command(
            context: typer.Context,
            node: NodeArgument,
            *,
            yes: Yes = False,
            dry_run: DryRun = False,
            config: Config = None,
            json: Json = False,
            timeout: Timeout = 20.0,
        ) -> None:
            def sure(client: Client) -> None:
                confirm(means(client, node), yes=yes, dry_run=dry_run)

            propose(context, config, timeout, change_of(node), json=json, sure=sure)

        return _named(group, summary, change_of, command)

    return make


def _named(
    group: typer.Typer, summary: str, change_of: ChangeOf, command: Callable[..., None]
) -> ChangeOf:
    word = change_of.__name__
    group.command(word, help=change_of.__doc__, short_help=summary)(command)
    return change_of
