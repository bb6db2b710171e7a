"""`./dev` is found by any way that leads to it, and says clearly what it cannot do."""

import subprocess
from pathlib import Path

DEV = Path(__file__).parents[1] / "dev"


def run(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_tells_its_commands() -> None:
    told = run(DEV, "--help")
    assert told.returncode == 0
    assert told.stdout.startswith("Usage: ./dev COMMAND")
    assert run(DEV).stdout == told.stdout


def test_it_works_through_a_link_in_a_folder_with_spaces(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "my dev").symlink_to(DEV)
    assert run("./my dev", "--help", folder=folder).stdout == run(DEV, "--help").stdout


def test_an_unknown_command_is_refused_in_one_sentence() -> None:
    refused = run(DEV, "destroy")
    assert refused.returncode == 2
    assert refused.stderr == "dev: there is no command 'destroy'; see ./dev --help\n"
