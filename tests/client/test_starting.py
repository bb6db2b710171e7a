"""Which feed a component means, and from where on it follows it."""

from dataclasses import dataclass, field

import pytest

from nm_bus.client.starting import feed_named, start_in
from nm_bus.core.ledger.follower import NOWHERE, Place
from nm_bus.errors import RefusedError

HEAD = "ab" * 32


@dataclass
class Known:
    """Feeds that are at number 7 now, and were at 3 after any revision that is not forgotten."""

    forgotten: int = 0
    asked: list[str] = field(default_factory=list)

    def place(self, feed: str = "", after: int | None = None) -> Place:
        self.asked.append(feed)
        if after is not None and after < self.forgotten:
            return NOWHERE
        return Place(1, 7 if after is None else 3, HEAD, feed)


@pytest.mark.parametrize(
    ("component", "feed", "name"),
    [
        (None, None, ""),
        ("", None, ""),
        (None, "", ""),
        ("thredds", None, "config/thredds"),
        (None, "config/thredds", "config/thredds"),
        (None, "record", "record"),
    ],
)
def test_a_component_is_the_feed_of_its_documents(
    component: str | None, feed: str | None, name: str
) -> None:
    assert feed_named(component, feed) == name


@pytest.mark.parametrize(
    ("component", "feed", "why"),
    [
        ("thredds", "record", "name a component or a feed to follow, not both"),
        ("thredds", "", "name a component or a feed to follow, not both"),
        ("a b", None, "'config/a b' is no feed of the ledger: config/<component>, lock"),
        (None, "config/a/b", "'config/a/b' is no feed of the ledger"),
        (None, "session", "'session' is no feed of the ledger"),
    ],
)
def test_what_is_no_feed_is_refused_in_one_sentence(
    component: str | None, feed: str | None, why: str
) -> None:
    with pytest.raises(RefusedError) as raised:
        feed_named(component, feed)
    assert str(raised.value).startswith(why)


@pytest.mark.parametrize("feed", ["", "record"])
def test_it_begins_now_after_a_revision_or_where_it_was(feed: str) -> None:
    assert start_in(Known(), feed, None) == Place(1, 7, HEAD, feed)
    assert start_in(Known(), feed, 12) == Place(1, 3, HEAD, feed)
    kept, known = Place(1, 5, HEAD, feed), Known()
    assert start_in(known, feed, kept) == kept
    assert known.asked == [], "who knows its place asks nobody"


def test_who_has_nothing_and_what_is_forgotten_begin_with_a_snapshot_of_the_feed() -> None:
    assert start_in(Known(), "record", NOWHERE) == Place(feed="record")
    assert start_in(Known(forgotten=20), "record", 12) == Place(feed="record")


def test_a_place_in_another_feed_is_refused() -> None:
    with pytest.raises(RefusedError, match="the feed lock is none in the whole ledger"):
        start_in(Known(), "", Place(1, 5, HEAD, "lock"))
    with pytest.raises(RefusedError, match="the whole ledger is none in the feed lock"):
        start_in(Known(), "lock", Place(1, 5, HEAD))
