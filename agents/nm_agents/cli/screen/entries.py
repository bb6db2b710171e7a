"""How entries and updates of the ledger look to a person: safe text, times in UTC."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.listing import Field, ListView
from nm_agents.cli.screen.printable import as_json, cell
from nm_agents.cli.screen.table import table
from nm_bus.codes import UNKNOWN_KEY
from nm_bus.errors import RefusedError
from nm_bus.messages import Entry, Micros


def moment(time: Micros) -> str:
    """An agreed time; what the project file gave has none."""
    return figures.date(time / 1_000_000) if time else "-"


def name_of(entry: Entry) -> str:
    """What follows the family in an entry's key."""
    return entry.key.partition("/")[2]


def word(value: Any) -> str:
    """A value as one word: text as it is, the rest as JSON."""
    return value if isinstance(value, str) else as_json(value)


def pairs(values: Mapping[str, Any]) -> Table:
    """Names and values, one a line."""
    rows = table("", "")
    rows.show_header = False
    for name, value in values.items():
        rows.add_row(cell(name, "dim"), cell(word(value)))
    return rows


def show_entry(entry: Entry | None, key: str, *, json: bool) -> None:
    """One entry whole. Raises RefusedError when there is none."""
    if entry is None:
        raise RefusedError(f"the ledger holds no {key}", UNKNOWN_KEY)
    if json:
        say(as_json(entry, indent=True))
        return
    made = {"revision": entry.revision, "by": entry.actor, "at": moment(entry.time)}
    show(screen(), pairs({"key": entry.key, **made, **entry.value}))


def entry_view(columns: Mapping[str, str]) -> ListView[Entry]:
    """Entries as rows: the name, these fields of the value under their headings, the revision."""

    def row(entry: Entry) -> tuple[Text, ...]:
        values = (word(entry.value.get(name, "-")) for name in columns)
        texts = (name_of(entry), *values, str(entry.revision), entry.actor)
        return tuple(cell(text) for text in texts)

    fields = (Field("name"), *(Field(heading) for heading in columns.values()))
    return ListView((*fields, Field("revision", rank=1), Field("by", rank=2)), row, name_of)
