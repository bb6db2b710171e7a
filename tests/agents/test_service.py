"""What a service writes to its log: one line an event, whatever others sent; and how it ends."""

import logging
import os

import pytest

from nm_agents.exits import Exit
from nm_agents.service import PARENT, OneLine, as_parent, served, started_by
from nm_bus.errors import (
    ConfigError,
    ConnectionLostError,
    NmBusError,
    RefusedError,
    StorageError,
    TimedOutError,
)


def line(message: str, *words: str) -> str:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, message, words, None)
    return OneLine().format(record)


def test_what_others_sent_cannot_begin_a_line_or_move_a_cursor() -> None:
    written = line("alert raised: %s", "\x1b[2Jgone\n2026-01-01 INFO all is well\x9b\u2028")
    assert written.isprintable()


def test_a_plain_event_is_written_as_it_is() -> None:
    assert line("broker: %s", "up").endswith(" INFO broker: up")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a.toml", "is wrong"), Exit.CONFIG),
        (RefusedError("no"), Exit.LATER),
        (StorageError("the disk is full"), Exit.LATER),
        (ConnectionLostError("gone"), Exit.LATER),
        (TimedOutError("silence"), Exit.LATER),
    ],
)
def test_only_what_is_to_be_mended_keeps_a_service_from_being_started_again(
    error: NmBusError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve() -> None:
        raise error

    assert served(serve) is code
    assert capsys.readouterr().err == f"nm-bus: {error}\n"


def test_a_service_that_was_told_to_stop_ended_well() -> None:
    assert served(lambda: None) is Exit.OK


def test_a_child_knows_who_started_it_even_when_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in as_parent({"HOME": "/"}).items():
        monkeypatch.setenv(name, value)
    assert started_by() == os.getpid() != os.getppid()


def test_one_that_a_person_started_watches_its_own_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PARENT, raising=False)
    assert started_by() == os.getppid()
