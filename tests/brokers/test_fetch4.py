"""Where RabbitMQ 4.x comes from, and that several who want it at once fetch it once."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parent / "fetch4.py"

SOURCES = """\
'http://mirror.example.org/debian/dists/bookworm-updates/InRelease' any_InRelease 0
'http://mirror.example.org/debian/dists/bookworm/InRelease' any_InRelease 0
'http://mirror.example.org/debian-security/dists/bookworm-security/InRelease' any_InRelease 0
"""

FETCHER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("fetch4", sys.argv[1])
fetch4 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fetch4)
fetch4.check_machine = lambda: None

def download(draft):
    (draft / "root").mkdir()
    with (draft.parent / "fetched").open("a") as said:
        said.write("once ")

fetch4.download, fetch4.unpack = download, lambda archives, root: None
sys.exit(fetch4.main())
"""


@pytest.fixture
def fetch4() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch4", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_comes_from_the_archive_that_the_machine_uses(fetch4: ModuleType) -> None:
    assert fetch4.archive(SOURCES, "bookworm") == "http://mirror.example.org/debian"
    assert fetch4.archive(SOURCES, "trixie") == ""


def test_several_at_once_fetch_it_once_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "half of it").touch()
    monkeypatch.setenv("NM_BUS_RABBITMQ4", str(tree))
    command = [sys.executable, "-c", FETCHER, str(FILE)]
    several = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {one.communicate(timeout=60)[0] for one in several}
    assert said == {f"{tree}\n"}
    assert (tmp_path / "fetched").read_text() == "once "
    assert [path.name for path in tree.iterdir()] == ["whole"]
