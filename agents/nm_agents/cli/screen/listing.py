"""Tables that fit: on a narrow terminal, the columns that matter least are left out first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

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
