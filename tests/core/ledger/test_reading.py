"""Reading: what is there, in pages, with the revision at which it was true."""

import pytest

from nm_bus.codec import size_of
from nm_bus.core.ledger.reading import page
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.pages import PAGE_BYTES
from nm_bus.messages import Page, Read
from nm_lab.samples.past import Past


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
