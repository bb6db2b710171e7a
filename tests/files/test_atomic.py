"""A file is replaced whole, or not at all."""

import os
from pathlib import Path

import pytest

from nm_bus.files.atomic import replace_file


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        replace_file(tmp_path / "f", content)
        assert (tmp_path / "f").read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_it_has_the_mode_that_was_asked_for_whatever_a_draft_had(tmp_path: Path, mode: int) -> None:
    draft = tmp_path / ".f.new"
    draft.write_bytes(b"half")
    draft.chmod(0o666)
    replace_file(tmp_path / "f", b"key", mode=mode)
    assert (tmp_path / "f").stat().st_mode & 0o777 == mode


def test_a_draft_that_somebody_made_a_link_leads_nowhere(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"theirs")
    (tmp_path / ".f.new").symlink_to(other)
    replace_file(tmp_path / "f", b"ours")
    assert other.read_bytes() == b"theirs"


def test_a_disk_that_takes_nothing_leaves_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(28, os.strerror(28))

    replace_file(tmp_path / "f", b"former")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        replace_file(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"former"
    assert [each.name for each in tmp_path.iterdir()] == ["f"]
    replace_file(tmp_path / "f", b"new", durable=False)
    assert (tmp_path / "f").read_bytes() == b"new"
