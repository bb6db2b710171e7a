"""Keys of a full screen: what each does, and a real terminal that is put back in order."""

import pytest

from nm_agents.cli.screen.keys import PageView, footer, inverted, pressed, split

ORDERS = ("member", "-disk")
LONG = PageView(room=10, length=100)


def after(keys: str, look: PageView = LONG) -> PageView:
    for key in split(keys):
        look = pressed(look, key, ORDERS)
    return look


@pytest.mark.parametrize(
    ("keys", "top"),
    [
        ("jj", 2),
        ("jjk", 1),
        ("k", 0),
        ("\x1b[B\x1b[B\x1b[A", 1),
        ("\x1bOB", 1),
        (" ", 10),
        ("\x1b[6~\x1b[6~\x1b[5~", 10),
        ("G", 90),
        ("Gj", 90),
        ("Gg", 0),
        ("\x1b[F", 90),
        ("\x1b[F\x1b[H", 0),
        ("x\x1b[C", 0),
    ],
)
def test_keys_scroll_as_far_as_there_are_lines(keys: str, top: int) -> None:
    assert after(keys).top == top


def test_a_short_page_does_not_scroll() -> None:
    assert after("G j", PageView(room=10, length=5)).top == 0


def test_the_page_that_became_shorter_is_not_scrolled_past_its_end() -> None:
    assert after("G").sized(10, 50).top == 40


def test_a_filter_takes_effect_while_it_is_typed() -> None:
    assert after("/dkr").filter == "dkr"
    assert after("/dkrx\x7f").filter == "dkr"
    assert after("/q").is_over is False, "within a filter, q is a letter"
    kept = after("/dkr\rj")
    assert (kept.filter, kept.is_typing, kept.top) == ("dkr", False, 1)
    assert after("/dkr\x1b") == LONG
    assert after("/dkr\r\x1b").filter == ""


def test_a_filter_is_bounded_and_holds_no_control_characters() -> None:
    assert len(after("/" + "x" * 500).filter) == 64
    assert after("/a\x01\x1b[Bb").filter == "ab"


def test_s_goes_through_the_orders_and_back_to_the_pages_own() -> None:
    assert [after("s" * n).sort for n in range(4)] == ["", "member", "-disk", ""]
    assert after("sI").sort == "-member"
    assert after("sIs").sort == "-disk"
    assert after("I").sort == inverted("") == ""


def test_u_shows_what_is_not_well_and_then_all_again() -> None:
    assert after("Gu").unhealthy
    assert after("Gu").top == 0
    assert not after("uu").unhealthy


def test_a_page_without_orders_is_not_sorted() -> None:
    assert pressed(LONG, "s") == pressed(LONG, "u") == LONG


def test_q_ends_it() -> None:
    assert after("q").is_over


def test_the_last_line_says_what_can_be_done_and_what_is_chosen() -> None:
    said = footer(after("su/dkr\r"), ORDERS)
    assert said.startswith("90 more lines")
    for word in ("s sort: member", "u all", "filter: dkr", "q end"):
        assert word in said
    assert footer(after("/dk")).startswith("/dk")
