"""A state in pages: all of it comes back, no page is large, and none costs more than itself."""

from base64 import b64encode
from zlib import compress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.ledger import cut as cutting
from nm_bus.core.ledger.answers import Answered
from nm_bus.core.ledger.cut import (
    LOOKED_AHEAD,
    MOST_PAGE_BYTES,
    PAGE_BYTES,
    Cut,
    SnapshotPage,
    compressed,
    joined,
    unpacked,
)
from nm_bus.core.ledger.state import StateSnapshot
from nm_bus.messages import Entry, Proposed


def snapshot(sizes: list[int], answers: list[int]) -> StateSnapshot:
    entries = [Entry(f"config/c/{n}", {"x": "y" * size}, n, "a") for n, size in enumerate(sizes)]
    askers = [
        Answered(
            "p", f"{n}", 0, n, 0, tuple(Proposed(f"p/{n}/{i + 1}", "agreed") for i in range(k))
        )
        for n, k in enumerate(answers)
    ]
    return StateSnapshot("test", 1, 7, "h", 9, tuple(entries), tuple(askers), floor=3)


def read(text: str) -> SnapshotPage:
    body = compressed(text)
    assert body is not None
    page = unpacked(body)
    assert isinstance(page, SnapshotPage), page
    return page


def pages(cut: Cut) -> list[SnapshotPage]:
    found: list[SnapshotPage] = []
    while made := cut.page(len(found)):
        text, last = made
        found.append(read(text))
        assert last == (cut.page(len(found)) is None)
    return found


@given(
    sizes=st.lists(st.sampled_from((0, 100, 30_000, 70_000)), max_size=20),
    answers=st.lists(st.integers(0, 100), max_size=5),
)
def test_all_of_a_state_comes_back(sizes: list[int], answers: list[int]) -> None:
    whole = snapshot(sizes, answers)
    cut = Cut(whole)
    assert (cut.about.entries, cut.about.answers) == ((), ())
    assert joined(cut.about, iter(pages(cut))) == whole


def test_no_page_is_larger_than_a_page_or_the_largest_item() -> None:
    found = pages(Cut(snapshot([100] * 5_000 + [150_000] * 2, [1_000] * 3)))
    assert len(found) > 10
    for page in found:
        is_single = len(page.entries) + len(page.answers) == 1
        assert is_single or len(msgspec.json.encode(page)) <= PAGE_BYTES + 1_024


def test_pages_are_made_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    end = Cut._end

    def counted(self: Cut, start: int) -> int:
        made.append(start)
        return end(self, start)

    monkeypatch.setattr(Cut, "_end", counted)
    cut = Cut(snapshot([30_000] * 100, []))
    assert not made
    cut.page(0)
    assert len(made) == 1
    cut.page(0)
    cut.page(1)
    assert len(made) == 2


def test_a_page_that_is_not_there_or_far_ahead_is_none() -> None:
    cut = Cut(snapshot([70_000] * 3, []))
    assert cut.page(3) is None
    assert cut.page(LOOKED_AHEAD + 10) is None


def test_what_cannot_be_read_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compressed("no base64!") is None
    assert isinstance(unpacked(b"no zlib"), str)
    assert isinstance(unpacked(compress(b"no json")), str)
    whole = compress(b'{"entries":[]}')
    assert unpacked(whole) == SnapshotPage()
    assert unpacked(whole[:-6]) == "a page is not whole, or too large"
    assert unpacked(compress(b" " * (MOST_PAGE_BYTES + 1))) == "a page is not whole, or too large"
    assert compressed(b64encode(whole).decode()) == whole
    monkeypatch.setattr(cutting, "MOST_PAGE_BYTES", 4)
    assert isinstance(unpacked(whole), str)
