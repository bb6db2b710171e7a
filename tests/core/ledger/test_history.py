import pytest

from nm_bus.core.ledger.history import Version, blame, diff, versions
from nm_bus.messages import Change, Update
from nm_lab.samples.history import update_of

KEY = "config/thredds/a.txt"


def update(
    revision: int, content: str | None, *, base: int | None = None, expected: int | None = None
) -> Update:
    kind, value = ("delete", None) if content is None else ("set", {"content": content})
    change = Change(
        f"me/1/{revision}",
        f"author{revision}",
        kind,
        KEY,
        revision - 1 if base is None else base,
        value,
        expected,
    )
    return update_of(change, revision, time=revision * 1_000_000)


def test_versions_come_oldest_first_whatever_order_they_were_read_in() -> None:
    made = versions([update(9, None), update(4, "b\n"), update(2, "a\n")])
    assert [(v.revision, v.actor, v.content) for v in made] == [
        (2, "author2", b"a\n"),
        (4, "author4", b"b\n"),
        (9, "author9", None),
    ]


def test_a_version_that_the_next_author_had_not_seen_is_said_to_be_overwritten() -> None:
    made = versions([update(5, "a"), update(6, "b", base=4), update(7, "c", base=6)])
    assert [v.overwritten for v in made] == [6, 0, 0]
    assert versions([]) == []


def test_who_expects_a_revision_has_seen_it() -> None:
    made = versions([update(5, "a"), update(6, "b", base=4, expected=5)])
    assert [v.overwritten for v in made] == [0, 0]


def test_each_line_names_the_version_it_is_from() -> None:
    past = versions([update(1, "a\nb\nc\n"), update(2, "a\nB\nc\n"), update(3, "new\na\nB\nc\n")])
    lines = blame(past)
    assert lines is not None
    assert [(line.version.revision, line.text) for line in lines] == [
        (3, "new\n"),
        (1, "a\n"),
        (2, "B\n"),
        (1, "c\n"),
    ]


def test_lines_that_come_again_after_a_deletion_are_new() -> None:
    lines = blame(versions([update(1, "a\n"), update(2, None), update(3, "a\n")]))
    assert lines is not None
    assert [line.version.revision for line in lines] == [3]


def test_what_is_no_text_has_no_lines_to_blame() -> None:
    assert blame([Version(1, "me", 0, b"\xff")]) is None
    assert blame([]) is None
    again = blame(
        [Version(1, "me", 0, b"a\n"), Version(2, "me", 0, b"\xff"), Version(3, "me", 0, b"a\n")]
    )
    assert again is not None
    assert [line.version.revision for line in again] == [3]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (b"a\n", b"a\n", []),
        (b"a\nb\n", b"a\nc\n", ["--- x", "+++ y", "@@ -1,2 +1,2 @@", " a", "-b", "+c"]),
        (None, b"a\n", ["--- x", "+++ y", "@@ -0,0 +1 @@", "+a"]),
        (b"a\n", None, ["--- x", "+++ y", "@@ -1 +0,0 @@", "-a"]),
        (
            b"a",
            b"a\n",
            ["--- x", "+++ y", "@@ -1 +1 @@", "-a\n\\ No newline at end of file", "+a"],
        ),
        (b"a\x0b\r\n", None, ["--- x", "+++ y", "@@ -1 +0,0 @@", "-a\x0b\r"]),
        (b"\xff", b"a", ["x and y differ and are no text"]),
        (None, b"", ["x and y: one is empty, the other is not there"]),
    ],
)
def test_a_diff_shows_what_differs(old: bytes | None, new: bytes | None, lines: list[str]) -> None:
    assert diff(old, new, ("x", "y")) == lines
