"""A state cut in pages, so that it travels over any link; each page is made when it is asked for.

A cut shares the entries with the state that it was made of: it costs what changes meanwhile, not
another state. Here is no wire and no file.
"""

import zlib
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterator

import msgspec

from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.ledger.answers import Answered
from nm_bus.core.ledger.state import StateSnapshot
from nm_bus.messages import Entry, FeedPlace
from nm_bus.messages.base import Nested

FORM = 1
"""The version of what is in a page. Who knows another one cannot take it."""

PAGE_BYTES = 64 * 1024
"""How much JSON goes in a page, before it is compressed; one larger item has a page of its own. It
takes a link of 1 Mbit/s at most 0.7 s, and 2.2 s for the largest change."""

MOST_PAGE_BYTES = 4 * 1024**2
"""What a page may hold; more is none of ours."""

LOOKED_AHEAD = 1_000
"""How many pages beyond those that were made a page may be asked for."""

_CHUNK = 20
"""How many answers of an asker are one item."""


class SnapshotPage(Nested, frozen=True):
    """A piece of a state: entries in the order of keys, then answers in the order of askers, then
    the last places of feeds in the order of their names."""

    entries: tuple[Entry, ...] = ()
    answers: tuple[Answered, ...] = ()
    feeds: tuple[FeedPlace, ...] = ()


Item = Entry | Answered | FeedPlace


class Cut:
    """One state in pages, numbered from 0; there is at least one."""

    def __init__(self, snapshot: StateSnapshot) -> None:
        self.about = msgspec.structs.replace(snapshot, entries=(), answers=(), feeds=())
        """The state without its entries, answers and feeds, which the pages have."""
        answers = _chunks(snapshot.answers)
        self._items: list[Item] = [*snapshot.entries, *answers, *snapshot.feeds]
        self._starts = [0]

    def page(self, number: int) -> tuple[str, bool] | None:
        """A page as `packed`, and whether it is the last; None for one that is not there, or too
        far beyond those that were made."""
        if number >= len(self._starts) + LOOKED_AHEAD:
            return None
        starts, end = self._starts, len(self._items)
        while len(starts) <= number + 1 and starts[-1] < end:
            starts.append(self._end(starts[-1]))
        if number >= len(starts) or (number and starts[number] == end):
            return None
        upto = starts[number + 1] if number + 1 < len(starts) else end
        return packed(_page(self._items[starts[number] : upto])), upto == end

    def _end(self, start: int) -> int:
        """Where the page that begins with this item ends."""
        size, at = 0, start
        while at < len(self._items):
            size += len(msgspec.json.encode(self._items[at]))
            if size > PAGE_BYTES and at > start:
                break
            at += 1
        return at


def packed(page: SnapshotPage) -> str:
    """A page as it travels: JSON, compressed by zlib, in base64."""
    return b64encode(zlib.compress(msgspec.json.encode(page), 1)).decode()


def compressed(text: str) -> bytes | None:
    """The bytes of a page that travelled; None when it is no base64."""
    try:
        return b64decode(text, validate=True)
    except (Error, ValueError):
        return None


def unpacked(body: bytes) -> SnapshotPage | str:
    """What the bytes of a page hold; else why they cannot be read."""
    try:
        wide = zlib.decompressobj()
        text = wide.decompress(body, MOST_PAGE_BYTES)
    except zlib.error as error:
        return str(error)
    if not wide.eof:
        return "a page is not whole, or too large"
    page = attempt(lambda: msgspec.json.decode(text, type=SnapshotPage))
    return page.reason if isinstance(page, Unreadable) else page


def joined(about: StateSnapshot, pages: Iterator[SnapshotPage]) -> StateSnapshot:
    """The state that was cut, of its pages in their order."""
    entries: list[Entry] = []
    answers: list[Answered] = []
    feeds: list[FeedPlace] = []
    for page in pages:
        entries += page.entries
        feeds += page.feeds
        for each in page.answers:
            _add(answers, each)
    return msgspec.structs.replace(
        about, entries=tuple(entries), answers=tuple(answers), feeds=tuple(feeds)
    )


def _add(answers: list[Answered], one: Answered) -> None:
    """Add some answers of an asker, perhaps to those that came before."""
    before = answers[-1] if answers else None
    who = one.principal, one.incarnation
    if before is not None and (before.principal, before.incarnation) == who:
        answers[-1] = msgspec.structs.replace(before, answers=before.answers + one.answers)
    else:
        answers.append(one)


def _chunks(answers: tuple[Answered, ...]) -> Iterator[Answered]:
    for one in answers:
        for at in range(0, len(one.answers) or 1, _CHUNK):
            yield msgspec.structs.replace(one, answers=one.answers[at : at + _CHUNK])


def _page(items: list[Item]) -> SnapshotPage:
    return SnapshotPage(
        tuple(each for each in items if isinstance(each, Entry)),
        tuple(each for each in items if isinstance(each, Answered)),
        tuple(each for each in items if isinstance(each, FeedPlace)),
    )
