"""Reading: what is there, in pages, with the revision at which it was true."""

import pytest
from msgspec.structs import replace

from nm_bus.codec import size_of
from nm_bus.core.ledger.reading import is_whole, page
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.pages import PAGE_BYTES
from nm_bus.messages import Page, Read
from nm_lab.samples.past import ADMINISTRATOR, Past


@pytest.fixture
def past() -> Past:
    """Six documents, then one of them again."""
    made = Past()
    for number in range(6):
        made.put(f"d{number}")
    made.put("d2", "again")
    return made


def read(past: Past, question: Read) -> Page:
    found = page(question, past.state, past)
    assert isinstance(found, Page)
    return found


def test_an_entry_comes_with_the_revision_of_the_ledger(past: Past) -> None:
    found = read(past, Read("entry", "config/a/d2"))
    assert [entry.value for entry in found.entries] == [{"content": "again"}]
    assert (found.revision, found.head, found.epoch) == (7, past.state.head, 1)


def test_what_is_not_there_is_said(past: Past) -> None:
    assert page(Read("entry", "config/a/none"), past.state, past) == Refusal(
        "unknown-key", "there is no config/a/none"
    )
    refused = page(Read("everything"), past.state, past)
    assert isinstance(refused, Refusal)
    assert refused.code == "bad-request"


def test_entries_come_in_the_order_of_their_keys_and_in_pages(past: Past) -> None:
    first = read(past, Read("entries", "config/a/", limit=4))
    assert [entry.key[-2:] for entry in first.entries] == ["d0", "d1", "d2", "d3"]
    assert first.more
    rest = read(past, Read("entries", "config/a/", after=first.entries[-1].key, limit=4))
    assert [entry.key[-2:] for entry in rest.entries] == ["d4", "d5"]
    assert not rest.more


@pytest.mark.parametrize(
    ("question", "revisions", "more"),
    [
        (Read("updates"), [1, 2, 3, 4, 5, 6, 7], False),
        (Read("updates", since=5), [6, 7], False),
        (Read("updates", since=7), [], False),
        (Read("updates", limit=3), [1, 2, 3], True),
        (Read("updates", newest_first=True, limit=3), [7, 6, 5], True),
        (Read("updates", since=5, newest_first=True, limit=4), [4, 3, 2, 1], False),
        (Read("updates", "config/a/d2"), [3, 7], False),
        (Read("updates", "config/a/d2", newest_first=True, limit=1), [7], True),
        (Read("updates", "config/a/d2", since=7, newest_first=True), [3], False),
        (Read("updates", "config/a/none"), [], False),
    ],
)
def test_the_past_is_read_in_both_directions(
    past: Past, question: Read, revisions: list[int], *, more: bool
) -> None:
    found = read(past, question)
    assert [update.revision for update in found.updates] == revisions
    assert found.more is more


def test_a_page_fits_whatever_its_entries_hold() -> None:
    past = Past()
    for number in range(20):
        past.put(f"d{number:02}", "x" * 60_000)
    for question in (Read("entries", "config/"), Read("updates"), Read("updates", since=20)):
        found = read(past, question)
        assert size_of(found) < PAGE_BYTES + 1_000
        assert found.more is (question.since == 0)


def test_an_answer_says_who_has_more_of_what_was_asked(past: Past) -> None:
    assert read(past, Read("updates")).kept_by == ()
    past.feed_from, past.kept_by = 3, ("sn2.example", "sn3.example")
    found = read(past, Read("updates", newest_first=True))
    assert (found.kept_from, found.kept_by) == (3, ("sn2.example", "sn3.example"))


def test_locks_are_left_out_if_they_are_not_wanted(past: Past) -> None:
    past.apply(past.change("open", f"session/{ADMINISTRATOR}/s", {"ttl": 30_000}))
    assert len(read(past, Read("updates")).updates) == 8
    assert len(read(past, Read("updates", without_locks=True)).updates) == 7
    assert len(read(past, Read("updates", without_locks=True, newest_first=True)).updates) == 7


FORWARD, BACK = (
    Read("updates", since=4),
    Read("updates", newest_first=True),
)


@pytest.mark.parametrize(
    ("question", "last", "more", "kept_from", "whole"),
    [
        (FORWARD, 9, False, 0, True),
        (FORWARD, 9, False, 4, True),
        (FORWARD, 9, False, 5, False),
        (BACK, 5, True, 4, True),
        (BACK, 4, True, 4, False),
        (BACK, 3, True, 0, True),
        (BACK, 5, False, 4, False),
        (BACK, 1, False, 0, True),
    ],
)
def test_a_page_is_whole_where_all_of_it_is_kept(
    question: Read, last: int, more: bool, kept_from: int, whole: bool
) -> None:
    past = Past()
    updates = (replace(past.put("d"), revision=last),)
    found = Page(9, "h", 1, updates=updates, more=more, kept_from=kept_from)
    assert is_whole(question, found) is whole
