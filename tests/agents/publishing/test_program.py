"""The loop around the publisher: notices, outages, and its end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nm_agents.exits import on_sigterm
from nm_agents.publishing import program
from nm_agents.publishing.memory import remembered
from nm_agents.publishing.program import PublishingLoop, noticing
from nm_agents.publishing.publisher import FolderPublisher
from nm_agents.publishing.told import Happened
from nm_bus.core.settling import Rest
from nm_bus.errors import ConnectionLostError
from nm_bus.messages import Entry, Proposed


@dataclass
class FakeLedger:
    """Documents by key, each agreed at once; `away` is how many questions go unanswered."""

    documents: dict[str, Entry] = field(default_factory=dict)
    away: int = 0

    def get(self, key: str) -> Entry | None:
        if self.away:
            self.away -= 1
            raise ConnectionLostError("nobody answers")
        return self.documents.get(key)

    def put(
        self,
        component: str,
        name: str,
        content: str | bytes,
        *,
        if_revision: int | None = None,
        force: bool = False,
    ) -> Proposed:
        key, revision = f"config/{component}/{name}", len(self.documents) + 1
        text = content.decode() if isinstance(content, bytes) else content
        self.documents[key] = Entry(key, {"content": text}, revision, "me")
        return Proposed("id", "agreed", revision)

    def delete(self, key: str, *, if_revision: int | None = None) -> Proposed:
        del self.documents[key]
        return Proposed("id", "agreed", 99)

    def close(self) -> None:
        """Nothing is open."""


def publisher(
    root: Path, ledger: FakeLedger, told: list[Happened], rest: float = 0.05
) -> FolderPublisher:
    return FolderPublisher(
        root, ledger, remembered(root, "demo"), Rest(rest), time.monotonic, told.append
    )


def within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@contextmanager
def running(loop: PublishingLoop) -> Iterator[None]:
    thread = threading.Thread(target=loop.forever)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join(30.0)
        assert not thread.is_alive()


def test_a_save_is_noticed_long_before_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "RESCAN", 600.0)
    ledger, warned = FakeLedger(), list[str]()
    loop = PublishingLoop(publisher(tmp_path, ledger, []), warned.append)
    with noticing(tmp_path, loop.notice, warned.append), running(loop):
        time.sleep(0.5)
        (tmp_path / "thredds").mkdir()
        (tmp_path / "thredds" / "a.txt").write_text("x")
        assert within(60.0, lambda: "config/thredds/a.txt" in ledger.documents)
    assert warned == []


def test_a_name_that_is_no_key_neither_ends_the_notices_nor_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "RESCAN", 600.0)
    ledger, warned, told = FakeLedger(), list[str](), list[Happened]()
    folder = tmp_path / "thredds"
    folder.mkdir()
    loop = PublishingLoop(publisher(tmp_path, ledger, told), warned.append)
    with noticing(tmp_path, loop.notice, warned.append), running(loop):
        for name in (b"k\xe4se.xml", b"two\nlines.txt"):
            (folder / os.fsdecode(name)).write_text("x")
        assert within(60.0, lambda: len(told) == 2)
        (folder / "good.txt").write_text("x")
        assert within(60.0, lambda: "config/thredds/good.txt" in ledger.documents)
    assert warned == []


def test_a_save_that_nobody_told_of_is_found_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "RESCAN", 0.05)
    ledger = FakeLedger()
    with running(PublishingLoop(publisher(tmp_path, ledger, []), list[str]().append)):
        (tmp_path / "thredds").mkdir()
        (tmp_path / "thredds" / "a.txt").write_text("x")
        assert within(60.0, lambda: "config/thredds/a.txt" in ledger.documents)


def test_that_nobody_answers_is_said_once_and_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "FIRST_PAUSE", 0.01)
    ledger, warned = FakeLedger(away=3), list[str]()
    (tmp_path / "thredds").mkdir()
    (tmp_path / "thredds" / "a.txt").write_text("x")
    with running(PublishingLoop(publisher(tmp_path, ledger, []), warned.append)):
        assert within(60.0, lambda: bool(ledger.documents))
    assert warned == ["nobody answers"]


def test_a_folder_that_vanishes_is_said_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "RESCAN", 0.05)
    root, warned, ledger = tmp_path / "config.d", list[str](), FakeLedger()
    root.mkdir()
    with running(PublishingLoop(publisher(root, ledger, []), warned.append)):
        root.rmdir()
        assert within(60.0, lambda: bool(warned))
        (root / "thredds").mkdir(parents=True)
        (root / "thredds" / "a.txt").write_text("x")
        assert within(60.0, lambda: bool(ledger.documents))
    assert warned == [f"{root} cannot be looked at: No such file or directory"]


def test_once_ends_when_every_file_rests(tmp_path: Path) -> None:
    ledger = FakeLedger()
    (tmp_path / "thredds").mkdir()
    (tmp_path / "thredds" / "a.txt").write_text("x")
    PublishingLoop(publisher(tmp_path, ledger, []), list[str]().append).once()
    assert list(ledger.documents) == ["config/thredds/a.txt"]


def test_once_does_not_wait_for_who_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "thredds").mkdir()
    (tmp_path / "thredds" / "a.txt").write_text("x")
    loop = PublishingLoop(publisher(tmp_path, FakeLedger(away=9), []), list[str]().append)
    with pytest.raises(ConnectionLostError):
        loop.once()


def test_sigterm_ends_the_loop_in_good_order(tmp_path: Path) -> None:
    loop = PublishingLoop(publisher(tmp_path, FakeLedger(), []), list[str]().append)
    with on_sigterm(loop.stop):
        os.kill(os.getpid(), signal.SIGTERM)
        loop.forever()
