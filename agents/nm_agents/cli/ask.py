"""`nm-bus ask NODE ...`: a question that travels to the member itself and back.

It is put to the member's home where the settings know it: the shortest way, and a slow member is
not asked again through another supernode.
"""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.printable import as_json, cell
from nm_agents.cli.screen.status import CHECK_STYLE
from nm_agents.cli.screen.table import table
from nm_agents.exits import Exit
from nm_bus.messages import CheckStatus

DEPTH = 4
"""How deep an answer's nested tables are shown; deeper ones are printed as JSON."""


TIMES = frozenset({"since", "at", "now", "raised", "changed", "heartbeat_confirmed"})
SINCE_2001 = 1e9
"""A number of one of these names that is this large is seconds since 1970."""


class What(StrEnum):
    """What a member can be asked."""

    STATUS = "status"
    METRICS = "metrics"
    CHECK = "check"


def ask(
    context: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node id, as n1.llnl.gov.")],
    what: Annotated[What, typer.Argument(help="What to ask it.")],
    check: Annotated[
        str, typer.Argument(metavar="[NAME]", help="The check to run now, with `check`.")
    ] = "",
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 35.0,
) -> None:
    """Ask a member itself: its status, its metrics as of now, or to run a check now.

    Example: nm-bus ask esgf-node1.llnl.gov check disk --timeout 30

    Exit codes: 0 answered (and the check is ok), 1 the check is not ok, 2 something to correct,
    3 no answer.
    """
    if (what is What.CHECK) != bool(check):
        raise typer.BadParameter("`check` needs the check's NAME, the others take none")
    with connected(context, config, timeout) as client:
        answer = client.ask(node.lower(), what, check)
    if json:
        say(as_json(answer, indent=True))
    else:
        show(screen(), answer_page(answer))
    raise typer.Exit(
        Exit.NEGATIVE if what is What.CHECK and answer.get("status") != CheckStatus.OK else Exit.OK
    )


def answer_page(answer: dict[str, Any]) -> RenderableType:
    """Whatever a member answers, as names and values: members of other versions may say more."""
    if not answer:
        return Text("nothing", style="dim")
    rows = table("", "")
    rows.show_header = False
    for name, value in filter(_says_something, _flat(answer, DEPTH)):
        rows.add_row(cell(name, "dim"), cell(value, CHECK_STYLE.get(value, "")))  # type: ignore[call-overload]
    return rows


def _says_something(row: tuple[str, str]) -> bool:
    return row[1] not in ("", "{}", "[]")


def _flat(value: Any, depth: int, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value and depth:
        return [
            row
            for key, item in value.items()
            for row in _flat(item, depth - 1, f"{name} {key}".strip())
        ]
    if isinstance(value, list) and value and depth:
        return [row for item in value for row in _flat(item, depth - 1, _item_name(name, item))]
    return [(name, _plain(name, value))]


def _item_name(name: str, item: Any) -> str:
    return f"{name} {item['name']}" if isinstance(item, dict) and "name" in item else name


def _plain(name: str, value: Any) -> str:
    if isinstance(value, float):
        is_time = value >= SINCE_2001 and name.rpartition(" ")[2] in TIMES
        return figures.date(value) if is_time else figures.number(value)
    return value if isinstance(value, str) else as_json(value)
