"""What a node needs besides the programs is in the wheel: example settings and units."""

import json
from pathlib import Path

import pytest

from .conftest import Run

ROOT = Path(__file__).parents[3] / "agents"


@pytest.mark.parametrize(
    ("word", "folder", "ending"),
    [("settings", "configs", "toml"), ("units", "units", "service")],
)
def test_all_files_of_the_checkout_are_written_as_they_are(
    run: Run, tmp_path: Path, word: str, folder: str, ending: str
) -> None:
    said = run("files", word, "--to", str(tmp_path / "new"), "--json")

    assert said.exit_code == 0
    meant = {file.name: file.read_bytes() for file in (ROOT / folder).glob(f"*.{ending}")}
    assert {file.name: file.read_bytes() for file in (tmp_path / "new").iterdir()} == meant
    assert {Path(name).name for name in json.loads(said.stdout)} == meant.keys()


def test_without_a_folder_they_are_only_listed(run: Run) -> None:
    assert "member.toml" in run("files", "settings").stdout.splitlines()


def test_a_file_that_was_changed_is_overwritten_only_when_forced(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    changed = folder / "member.toml"
    changed.write_text("mine\n")

    refused = run("files", "settings", "--to", str(folder))

    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "--force" in refused.stderr
    assert [file.name for file in folder.iterdir()] == ["member.toml"]
    assert run("files", "settings", "--to", str(folder), "--force").exit_code == 0
    assert changed.read_text() != "mine\n"
