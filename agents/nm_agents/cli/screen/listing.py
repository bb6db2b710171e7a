"""Tables that fit: on a narrow terminal, the columns that matter least are left out first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from nm_agents.cli.screen.figures import plural
from nm_agents.cli.screen.printable import cell
from nm_bus.client.federation.picture import Picture
from nm_bus.client.federation.standings import (
    RUNNING,
    in_words,
    members_behind,
    members_in_trouble,
    newest,
    votes_of,
)
from nm_bus.errors import ConfigError
from nm_bus.messages import Standing

T = TypeVar("T")

GAP = 2
"""Blanks between two columns."""

SENTENCE = 12
"""A sentence that is cut shorter than this says nothing."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column. Those of rank 0 always stay; of the others the highest rank goes first."""

    header: str
    rank: int = 0
    right: bool = False
    least: int = 0
    """What is longer may be cut to this; 0: it may not."""


def listing(fields: Sequence[Field], rows: Iterable[Sequence[Text]], width: int) -> Table:
    """The rows in as many columns as fit. A row that is too short ends in empty cells."""
    filled = [(*row, *(Text(""),) * (len(fields) - len(row))) for row in rows]
    kept = _kept(fields, filled, width)
    columns = (_column(fields[index]) for index in kept)
    made = Table(*columns, box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for row in filled:
        made.add_row(*(row[index] for index in kept))
    return made


def _column(field: Field) -> Column:
    return Column(
        field.header,
        justify="right" if field.right else "left",
        no_wrap=not field.least,
        overflow="ellipsis",
    )


def _kept(fields: Sequence[Field], rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Which columns stay, by their places."""
    needs = [_need(field, [row[place] for row in rows]) for place, field in enumerate(fields)]
    kept = list(range(len(fields)))
    while sum(needs[place] + GAP for place in kept) - GAP > width:
        least = max(kept, key=lambda place: fields[place].rank)
        if not fields[least].rank:
            break
        kept.remove(least)
    return kept


def _need(field: Field, cells: Iterable[Text]) -> int:
    """How many columns of a terminal it takes at least."""
    whole = max((cell_len(field.header), *(text.cell_len for text in cells)))
    return min(whole, max(field.least, cell_len(field.header))) if field.least else whole


@dataclass(frozen=True, slots=True)
class ListView(Generic[T]):
    """How things of one kind are listed. `keys` are what columns are sorted by whose cells, as
    `3 min`, do not say it themselves."""

    fields: Sequence[Field]
    row: Callable[[T], Sequence[Text]]
    name: Callable[[T], str]
    keys: dict[str, Callable[[T], Any]] = field(default_factory=dict)


def in_order(view: ListView[T], found: Sequence[T], sort: str) -> Sequence[T]:
    """Sorted by a column; as they are when none is given. Raises ConfigError."""
    if not sort:
        return found
    column = sort.removeprefix("-")
    headers = [one.header for one in view.fields]
    if column not in headers:
        known = ", ".join(header for header in headers if header)
        raise ConfigError("--sort", f"there is no column {column!r}", f"give one of: {known}")
    place = headers.index(column)
    key = view.keys.get(column, lambda one: natural(view.row(one)[place].plain))
    return sorted(found, key=key, reverse=sort.startswith("-"))


def natural(text: str) -> tuple[bool, float, str]:
    """A key for texts that puts whole numbers in the order of numbers, before other texts."""
    return not text.isdecimal(), float(text) if text.isdecimal() else 0.0, text


# --- How the ledger looks in an overview: a cell for each supernode, and a line about the members.


def standing_cell(standing: Standing | None, furthest: Standing | None) -> Text:
    """How a supernode's ledger stands; yellow when another one has more."""
    said = in_words(standing)
    if standing is None or furthest is None:
        return cell(said, "dim" if furthest is None else "yellow")
    if standing.state != RUNNING:
        return cell(said, "bold red" if standing.reason else "yellow")
    return cell(said, "green" if standing.revision == furthest.revision else "yellow")


def following(picture: Picture) -> list[RenderableType]:
    """How many members have less of the ledger than the supernodes, and whose documents fail."""
    furthest = newest(picture)
    if furthest is None:
        return []
    late = len(members_behind(picture, furthest.epoch, furthest.revision))
    troubled = len(members_in_trouble(picture))
    found = (
        (late, f"behind revision {furthest.revision}"),
        (troubled, "in trouble with documents"),
    )
    said = ", ".join(f"{plural(count, 'member')} {what}" for count, what in found if count)
    return [Text(said, style="yellow")] if said else []


def quorum(picture: Picture) -> list[RenderableType]:
    """Whether a change can be agreed now."""
    votes = votes_of(picture)
    if votes is None:
        return []
    said = f"{votes.able} of {plural(len(votes.voters), 'voter')} can vote"
    if votes.able >= votes.needed:
        return [Text(said, style="dim")]
    return [Text(f"{said}: no change can be agreed, {votes.needed} are needed", style="bold red")]
