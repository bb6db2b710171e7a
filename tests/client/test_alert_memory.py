from pathlib import Path

import pytest

from nm_bus.client.alert_memory import AlertFile
from nm_bus.errors import ConfigError


def test_what_was_seen_is_known_after_a_restart(tmp_path: Path) -> None:
    with AlertFile(tmp_path / "deep" / "a.seen") as seen:
        seen.add("t1")
    with AlertFile(tmp_path / "deep" / "a.seen") as seen:
        assert "t1" in seen
        assert "t2" not in seen


def test_the_file_is_bounded_and_the_newest_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.seen"
    with AlertFile(file, limit=10) as seen:
        for n in range(1_000):
            seen.add(f"t{n}")
        assert len(seen) == 10
    assert len(file.read_text().splitlines()) <= 21
    with AlertFile(file, limit=10) as seen:
        assert len(seen) == 10
        assert "t999" in seen
        assert "t989" not in seen


def test_a_line_cut_off_by_a_crash_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "a.seen"
    with AlertFile(file) as seen:
        seen.add("t1")
        seen.add("t2")
    file.write_bytes(file.read_bytes()[:-20])
    with AlertFile(file) as seen:
        assert "t2" not in seen, "it is shown again rather than lost"
        seen.add("t3")
    with AlertFile(file) as seen:
        assert "t1" in seen
        assert "t3" in seen


@pytest.mark.parametrize("odd", ["a\nb", "a\u2028b", "x" * 100_000, ""])
def test_an_odd_id_is_remembered_like_any_other(tmp_path: Path, odd: str) -> None:
    with AlertFile(tmp_path / "a.seen") as seen:
        seen.add(odd)
    with AlertFile(tmp_path / "a.seen") as seen:
        assert odd in seen
        assert len(seen) == 1
    assert (tmp_path / "a.seen").stat().st_size < 100


def test_a_second_watch_of_the_same_queue_is_refused(tmp_path: Path) -> None:
    with AlertFile(tmp_path / "a.seen"):
        with pytest.raises(ConfigError, match="--name"), AlertFile(tmp_path / "a.seen"):
            pass
        with AlertFile(tmp_path / "b.seen"):
            pass


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match="cannot be used"),
        AlertFile(tmp_path / "file" / "a.seen"),
    ):
        pass
