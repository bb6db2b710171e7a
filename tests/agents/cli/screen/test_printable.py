import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_agents.cli.screen.printable import as_json, cell, first_bytes, printable


@given(st.text())
def test_nothing_that_moves_a_cursor_is_left(text: str) -> None:
    assert printable(text).isprintable()
    assert cell(text).plain.isprintable()


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b2J", "a\rb", "a\nb", "\u202eabc", "\x00", "\x07"])
def test_control_characters_become_visible(evil: str) -> None:
    assert "·" in printable(f"x{evil}x")


def test_markup_in_remote_text_stays_text() -> None:
    assert cell("[bold]x[/bold]").plain == "[bold]x[/bold]"


def test_long_text_is_cut_with_a_mark() -> None:
    assert printable("abcdef", 4) == "abc…"


@given(st.binary())
def test_the_first_bytes_of_a_refused_message_are_harmless(raw: bytes) -> None:
    assert first_bytes(base64.b64encode(raw).decode()).isprintable()


def test_what_is_no_base64_is_shown_as_it_is() -> None:
    assert first_bytes("no base64!\x1b") == "no base64!·"


@given(st.text())
def test_json_is_ascii_and_reads_back(text: str) -> None:
    said = as_json({"a": text})
    assert said.isascii()
    assert said.isprintable()
    assert json.loads(said) == {"a": text}
