"""Tables that fit: on a narrow terminal, the columns that matter least are left out first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

from nm_bus.errors import ConfigError

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
