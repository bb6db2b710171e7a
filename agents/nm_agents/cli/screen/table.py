"""The plain table of the command line."""

from rich.table import Column, Table

FLEXIBLE = frozenset({"health", "broker", "ledger", "state", "summary", "checks", "output"})
"""The columns that give way first on a narrow terminal: sentences, which can be cut."""


def table(*columns: Column | str) -> Table:
    """A table without lines: as good in a pipe as on a screen."""
    made = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in made.columns:
        column.overflow = "ellipsis"
        column.no_wrap = column.header not in FLEXIBLE
    return made
