"""A component that lives by its configuration: it follows its documents and remembers its place.

    python follow_updates.py admin.toml dashboard place.json

Prints one line for each version of a document, and goes on after the last one when it is started
again, at whichever supernode answers. Without a place it begins with the documents as they are.
"""

import argparse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from nm_bus.client import NOWHERE, Client, LedgerEntry, Place, Snapshot, Updates, of_update
from nm_bus.messages import Update


def main() -> None:
    """Follow until it is interrupted, or `--count` lines were printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("component")
    parser.add_argument("place", type=Path)
    parser.add_argument("--count", type=int, default=0)
    options = parser.parse_args()

    printed = 0
    with (
        Client(options.config) as client,
        client.updates(options.component, since=kept(options.place)) as updates,
    ):
        for line in lines(updates):
            print(line, flush=True)
            keep(options.place, updates.place)
            printed += 1
            if printed == options.count:
                return


def lines(updates: Updates) -> Iterator[str]:
    """What happened, one line each."""
    for item in updates:
        match item:
            case Snapshot(entries=entries, reset=reset):
                if reset:
                    yield f"begins again: {reset}"
                yield from (line_of(entry) for entry in entries)
            case Update(revision=revision, change=change):
                entry = of_update(item)
                yield line_of(entry) if entry else f"{revision} {change.key} is gone"


def line_of(entry: LedgerEntry) -> str:
    """A version of a document."""
    return f"{entry.revision} {entry.key} has {len(entry.content)} bytes, by {entry.actor}"


def kept(file: Path) -> Place:
    """The place that was kept, or the beginning."""
    return msgspec.json.decode(file.read_bytes(), type=Place) if file.exists() else NOWHERE


def keep(file: Path, place: Place) -> None:
    """Keep a place, so that a crash leaves the old one or the new one."""
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(msgspec.json.encode(place))
    new.replace(file)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        main()
