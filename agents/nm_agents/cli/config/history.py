"""`nm-bus config history`, `diff` and `blame`: a document's past, as git shows it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from nm_agents.cli.config.arguments import DocumentArgument, read_file
from nm_agents.cli.config.past import DocumentPast, past_of, version_at
from nm_agents.cli.config.showing import show_diff, visible
from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import say, screen, show, warn
from nm_agents.cli.screen.printable import as_json, cell
from nm_agents.cli.screen.table import table
from nm_agents.exits import Exit
from nm_bus.client import Client
from nm_bus.core.ledger import history as history_of
from nm_bus.core.ledger.history import HistoryLine, Version
from nm_bus.errors import RefusedError


def history(
    context: typer.Context,
    document: DocumentArgument,
    *,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=1000, help="The last N versions.")
    ] = 100,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show a document's versions, the newest first: who, when, how large, why. Times are UTC.

    A version that was overwritten by somebody who had not seen it is marked: nothing is lost,
    `nm-bus config diff` and `revert` work on it.

    Example: nm-bus config history thredds/catalog.xml

    Exit codes: 0 it has a past, 2 it has none, or something to correct, 3 no answer, or another
    supernode may have more of it.
    """
    with connected(context, config, timeout) as client:
        past = past_of(client, document, limit)
    found = past.versions[::-1]
    if json:
        rows = [_row(version) for version in found]
        about = {"key": document, "more": past.more, **past.missing.data()}
        say(as_json({**about, "versions": rows}, indent=True))
    else:
        show(screen(), _table(found))
        _end(past, limit)
    raise typer.Exit(past.missing.verdict)


def _end(past: DocumentPast, limit: int) -> None:
    """What is not shown, if anything."""
    if past.more:
        show(screen(), Text(f"and older ones: --limit shows more than {limit}", style="dim"))
    elif past.missing:
        show(screen(), Text(f"older ones may be missing: {past.missing.sentence}", style="dim"))


def _row(version: Version) -> dict[str, object]:
    return {
        "revision": version.revision,
        "actor": version.actor,
        "time": version.time,
        "deleted": version.content is None,
        "size": len(version.content or b""),
        "note": version.note,
        "reverts": version.reverts,
        "overwritten_by": version.overwritten,
    }


def _table(found: list[Version]) -> Table:
    rows = table("revision", "changed", "by", "size", "note")
    for version in found:
        size = "deleted" if version.content is None else figures.size(len(version.content))
        rows.add_row(
            cell(str(version.revision)),
            cell(figures.agreed(version.time)),
            cell(version.actor),
            cell(size, "red" if version.content is None else ""),
            cell(_note(version), "yellow" if version.overwritten else "dim"),
        )
    return rows


def _note(version: Version) -> str:
    reverts = f"reverts to {version.reverts}" if version.reverts else ""
    lost = f"overwritten unseen by {version.overwritten}" if version.overwritten else ""
    return "; ".join(text for text in (version.note, reverts, lost) if text)


def diff(
    context: typer.Context,
    document: DocumentArgument,
    old: Annotated[str, typer.Argument(metavar="[REV]", help="From this revision.")] = "",
    new: Annotated[
        str, typer.Argument(metavar="[REV|FILE]", help="To this revision or file.")
    ] = "",
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show what differs between two revisions of a document, or between it and a file.

    With one revision: from it to now. With a file alone: from now to the file. With nothing: what
    the last version changed.

    Example: nm-bus config diff thredds/catalog.xml 812 ./catalog.xml

    Exit codes: 0 nothing differs, 1 something does, 2 something to correct, 3 no answer.
    """
    with connected(context, config, timeout) as client:
        sides = _sides(client, document, old, new)
    (before_label, before), (after_label, after) = sides
    lines = history_of.diff(before, after, (before_label, after_label))
    if json:
        say(as_json({"key": document, "from": before_label, "to": after_label, "diff": lines}))
    else:
        show_diff(lines)
    raise typer.Exit(Exit.NEGATIVE if lines else Exit.OK)


Side = tuple[str, bytes | None]


def _sides(client: Client, key: str, old: str, new: str) -> tuple[Side, Side]:
    if old and new:
        return _side(client, key, old), _side(client, key, new)
    if old.isdigit():
        return _side(client, key, old), _newest(client, key)
    if old:
        return _newest(client, key), _side(client, key, old)
    past = past_of(client, key, 2)
    *before, now = past.versions
    if not before and past.missing:
        raise past.missing.error(f"{key} before revision {now.revision}")
    return _of(before[0]) if before else ("not there", None), _of(now)


def _side(client: Client, key: str, given: str) -> Side:
    """A revision when it is a number, else a file."""
    if given.isdigit():
        return _of(version_at(client, key, int(given)))
    return given, read_file(Path(given))


def _newest(client: Client, key: str) -> Side:
    return _of(past_of(client, key, 1).versions[0])


def _of(version: Version) -> Side:
    return f"revision {version.revision}", version.content


def blame(
    context: typer.Context,
    document: DocumentArgument,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show a document line by line, each with the revision that it is from, its author and time.

    A line that may be older, since what was before its revision is not kept, is marked with `^`.

    Example: nm-bus config blame thredds/catalog.xml

    Exit codes: 0 shown, 2 it is not there or no text, or something to correct, 3 no answer, or
    another supernode may have more of its past.
    """
    with connected(context, config, timeout) as client:
        past = past_of(client, document)
    lines = history_of.blame(past.versions)
    if lines is None:
        raise RefusedError(f"{document} is no text, so there are no lines to blame")
    first = None if past.is_whole else past.versions[0]
    if json:
        rows = [_blamed(line, line.version is first) for line in lines]
        say(as_json({"key": document, **past.missing.data(), "lines": rows}, indent=True))
    else:
        _show_blame(lines, first)
        if past.missing:
            warn(past.missing.sentence)
    raise typer.Exit(past.missing.verdict)


def _show_blame(lines: list[HistoryLine], first: Version | None) -> None:
    width = max((len(line.version.actor) for line in lines), default=0)
    for line in lines:
        version = line.version
        number = f"{'^' if version is first else ''}{version.revision}"
        author = f"{number:>8} {figures.agreed(version.time)} {version.actor:{width}}"
        say(f"{author} | {visible(line.text.rstrip(chr(10)))}")


def _blamed(line: HistoryLine, may_be_older: bool) -> dict[str, object]:
    version = line.version
    return {
        "revision": version.revision,
        "may_be_older": may_be_older,
        "actor": version.actor,
        "time": version.time,
        "line": line.text,
    }
