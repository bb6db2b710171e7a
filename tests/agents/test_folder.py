"""A program runs on a folder of its own user, or says in one sentence why it does not."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nm_agents.folder import check_owners, nearest, own_folder, user_name, writable
from nm_bus.errors import ConfigError

NOBODY = 65_534


@contextmanager
def as_root_with(owner_of: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within, this is root and the folder is another user's, whoever runs the tests."""
    if os.geteuid() == 0:
        os.chown(owner_of, NOBODY, NOBODY)
        yield
    else:
        with monkeypatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: 0)
            yield


@contextmanager
def as_ordinary_user(folder: Path) -> Iterator[None]:
    """Within, the folder and what is in it are ours, and we are not root."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user reaches, unlike those below pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_root_leaves_no_files_in_a_folder_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_root_with(tmp_path, monkeypatch):
        refused = pytest.raises(
            ConfigError, match=r"belongs to \S+, not to root; run it as .*runus"
        )
        with refused, own_folder(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_root_makes_no_folder_below_one_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        as_root_with(tmp_path, monkeypatch),
        pytest.raises(ConfigError, match="not to root"),
        own_folder(tmp_path / "new" / "state"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["lock", "ledger.db", "ingest.0.lock", "spool.sqlite", "a.inhand"])
def test_a_file_that_the_user_cannot_open_is_one_sentence(open_folder: Path, name: str) -> None:
    (open_folder / name).touch(mode=0o000)
    with (
        as_ordinary_user(open_folder),
        pytest.raises(ConfigError, match=rf"{name}: belongs to .* cannot use it; chown -R"),
        own_folder(open_folder),
    ):
        pass


def test_what_another_user_left_for_a_broker_is_one_sentence(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (open_folder / "data").mkdir()
    (open_folder / "data" / "node").touch()
    check_owners(open_folder)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(ConfigError, match=r"data: belongs to .*, and this .*; chown -R"):
        check_owners(open_folder)


def test_a_lock_that_is_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(ConfigError, match="lock: cannot be opened"), own_folder(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told_apart_from_one_that_cannot_be_written(
    open_folder: Path,
) -> None:
    open_folder.chmod(0o500)
    with as_ordinary_user(open_folder):
        with pytest.raises(ConfigError, match=r"cannot be written: Permission denied"):
            writable(open_folder)
        with pytest.raises(ConfigError, match=r"new: cannot be made or entered: .*; install -d -o"):
            writable(open_folder / "new")


def test_a_user_without_a_name_is_called_by_its_number() -> None:
    assert user_name(4_000_000_000) == "4000000000"


def test_a_folder_that_may_not_be_entered_is_taken_for_one_that_is_not_there(
    open_folder: Path,
) -> None:
    closed = open_folder / "closed"
    (closed / "state").mkdir(parents=True)
    with as_ordinary_user(open_folder):
        closed.chmod(0o000)
        try:
            assert nearest(closed / "state") == closed
            with (
                pytest.raises(ConfigError, match="cannot be made or entered"),
                own_folder(closed / "state"),
            ):
                pass
        finally:
            closed.chmod(0o700)
