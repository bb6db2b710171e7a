"""How far a member has come with the ledger, as a small file that is whole at any moment.

It may be older than the documents are, never newer: what it does not know of is applied again,
and changes nothing.
"""

from pathlib import Path

import msgspec

from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.ledger.follower import Place
from nm_bus.files.atomic import replace_file

FETCHED = "all documents are fetched again"


class WrittenDocument(msgspec.Struct, frozen=True):
    """A document that was written: its revision, and the sha256 of its content."""

    revision: int
    digest: str


class Followed(msgspec.Struct):
    """What is kept from one life of the agent to the next: places by feed, else by documents' keys.

    `owed` could not be written, `unhooked` are changes whose hook has not run to its end, and
    `attempts` how often that hook was begun.
    `settings` tells for which settings all this is so.
    """

    places: dict[str, Place] = {}
    settings: str = ""
    documents: dict[str, WrittenDocument] = {}
    owed: set[str] = set()
    unhooked: dict[str, int] = {}
    attempts: dict[str, int] = {}
    troubles: dict[str, str] = {}

    def place(self, feed: str) -> Place:
        """How far it is in a feed."""
        found = self.places.get(feed, Place(feed=feed))
        return found if found.feed == feed else Place(feed=feed)

    def moved(self, place: Place) -> bool:
        """It is as far as that now; tells whether it was elsewhere before."""
        was, self.places[place.feed] = self.place(place.feed), place
        return was != place

    def keep_only(self, feeds: tuple[str, ...]) -> None:
        """Forget how far it is in others: what came there meanwhile is not known."""
        self.places = {feed: self.place(feed) for feed in feeds if feed in self.places}


def load(path: Path) -> tuple[Followed, str]:
    """Read the file; where it cannot be, begin with nothing, and say why."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Followed(), ""
    except OSError as error:
        return Followed(), f"{path}: cannot be read: {error.strerror}; {FETCHED}"
    read = attempt(lambda: msgspec.json.decode(content, type=Followed))
    if isinstance(read, Unreadable):
        return Followed(), f"{path}: is damaged; {FETCHED}"
    return read, ""


def save(path: Path, followed: Followed) -> None:
    """Replace the file; raises OSError, and then it is what it was."""
    replace_file(path, msgspec.json.encode(followed), mode=0o644)
