"""A document's past, as git shows it: its versions, what differs, and who wrote which line.

Pure: the updates of one key come in, in either order. Lines end where the document ends them.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import zip_longest

from nm_bus.documents import content_of
from nm_bus.messages import Micros, Update


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document. `content` is None where it was deleted.

    `overwritten` is the revision of a later version whose author had not seen this one: both were
    made side by side, and the later in the order won. 0: there is none.
    """

    revision: int
    actor: str
    time: Micros
    content: bytes | None
    note: str = ""
    reverts: int = 0
    overwritten: int = 0


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A line of a document, and the version in which it came to be as it is."""

    version: Version
    text: str


def versions(updates: Iterable[Update]) -> list[Version]:
    """The versions that the updates of one key made, the oldest first."""
    ordered = sorted(updates, key=lambda update: update.revision)
    return [_version(update, then) for update, then in zip_longest(ordered, ordered[1:])]


def _version(update: Update, then: Update | None) -> Version:
    change = update.change
    value = change.value or {}
    return Version(
        update.revision,
        change.actor,
        update.time,
        None if change.kind == "delete" else _content(value),
        str(value.get("note", "")),
        int(value.get("reverts", 0)),
        then.revision if then is not None and _unseen(update, then) else 0,
    )


def _content(value: dict[str, object]) -> bytes:
    try:
        return content_of(value)
    except ValueError:
        return b""


def _unseen(update: Update, then: Update) -> bool:
    """Whether the author of a later change had not seen this one. Who names the revision that
    must stand has."""
    return then.change.expected is None and then.change.base < update.revision


def diff(old: bytes | None, new: bytes | None, labels: tuple[str, str]) -> list[str]:
    """What differs, as a unified diff; empty when nothing does. None is a document not there."""
    if old == new:
        return []
    before, after = _lines(old), _lines(new)
    if before is None or after is None:
        return [f"{labels[0]} and {labels[1]} differ and are no text"]
    if before == after:
        return [f"{labels[0]} and {labels[1]}: one is empty, the other is not there"]
    return [_ended(line) for line in difflib.unified_diff(before, after, *labels, n=3)]


def _lines(content: bytes | None) -> list[str] | None:
    """A document's lines with their ends, or None when it is no text."""
    try:
        text = (content or b"").decode("utf-8")
    except UnicodeDecodeError:
        return None
    return list(StringIO(text, newline="\n"))


def _ended(line: str) -> str:
    """A line of a diff without its end, which is said when it is missing."""
    if line.startswith(("---", "+++", "@@")) or line.endswith("\n"):
        return line.rstrip("\n")
    return f"{line}\n\\ No newline at end of file"


def blame(past: Sequence[Version]) -> list[HistoryLine] | None:
    """Each line of the newest version, with the version that it is from; the oldest come first.

    None when the newest is no text.
    """
    blamed: list[HistoryLine] = []
    for version in past:
        lines = _lines(version.content)
        blamed = [] if lines is None else _carried(blamed, lines, version)
    return blamed if past and _lines(past[-1].content) is not None else None


def _carried(before: list[HistoryLine], lines: list[str], version: Version) -> list[HistoryLine]:
    """The lines of a version: those that stayed keep theirs."""
    after = [HistoryLine(version, text) for text in lines]
    matcher = difflib.SequenceMatcher(None, [line.text for line in before], lines)
    for start, new_start, size in matcher.get_matching_blocks():
        after[new_start : new_start + size] = before[start : start + size]
    return after
