"""Pages in any order come back in order; what does not fit or cannot be written is said."""

from pathlib import Path

import pytest

from nm_bus.errors import StorageError
from nm_bus.storage.pagefile import PageFile


def test_pages_come_back_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    file = PageFile(tmp_path / "pages", 100)
    file.begin()
    for number in (2, 0, 1):
        file.put(number, b"%d" % number * (number + 1))
    assert list(file.pages()) == [b"0", b"11", b"222"]
    file.begin()
    assert list(file.pages()) == []


def test_it_takes_no_more_than_its_limit(tmp_path: Path) -> None:
    file = PageFile(tmp_path / "pages", 10)
    file.begin()
    file.put(0, b"x" * 10)
    with pytest.raises(StorageError, match="limit of 10 bytes"):
        file.put(1, b"x")


def test_nothing_is_left_of_it_and_nobody_else_reads_it(tmp_path: Path) -> None:
    file = PageFile(tmp_path / "pages", 100)
    file.begin()
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.clear()
    assert not file.path.exists()
    file.clear()
    with pytest.raises(StorageError):
        file.put(0, b"x")


def test_a_folder_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    file = PageFile(tmp_path / "none" / "pages", 100)
    for use in (file.begin, file.room):
        with pytest.raises(StorageError, match="No such file"):
            use()


def test_a_file_that_somebody_cut_off_is_said(tmp_path: Path) -> None:
    file = PageFile(tmp_path / "pages", 100)
    file.begin()
    file.put(0, b"x" * 50)
    list(file.pages())
    with file.path.open("r+b") as other:
        other.truncate(10)
    with pytest.raises(StorageError, match="shorter"):
        list(file.pages())
