"""What a service writes to its log: one line an event, whatever others sent."""

import logging

from nm_agents.service import OneLine


def line(message: str, *words: str) -> str:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, message, words, None)
    return OneLine().format(record)


def test_what_others_sent_cannot_begin_a_line_or_move_a_cursor() -> None:
    written = line("alert raised: %s", "\x1b[2Jgone\n2026-01-01 INFO all is well\x9b\u2028")
    assert written.isprintable()


def test_a_plain_event_is_written_as_it_is() -> None:
    assert line("broker: %s", "up").endswith(" INFO broker: up")
