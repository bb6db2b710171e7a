"""What CONTRIBUTING says of adding a request, done to a copy of the sources: it works, and few
files are touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

MOST_TOUCHED = 4
"""Source files that a new request touches, beside its schema and its test."""

STRUCT = '''

class Marco(Data, frozen=True):
    """Ask a supernode whether it is there."""

    word: str = "marco"
'''

REQUEST = """        return {Tail: self._tail}"""

ANSWERED = """        return {Tail: self._tail, Marco: self._marco}

    def _marco(self, marco: Marco, asker: Asker) -> None:
        asker.reply({"polo": marco.word})"""

EDITS = {
    "nm_bus/messages/requests.py": [("\n\nclass Subscribe(", f"{STRUCT}\n\nclass Subscribe(")],
    "nm_bus/messages/__init__.py": [
        ("    Hello,\n", "    Hello,\n    Marco,\n"),
        ('    "Ask",', '    "Ask",\n    "Marco",'),
    ],
    "nm_bus/protocol.py": [
        ("    Subscribe,\n", "    Subscribe,\n    Marco,\n"),
        ("    Row(Query, asked", "    Row(Marco, asked_by=ASKERS),\n    Row(Query, asked"),
    ],
    "agents/nm_agents/supernode/tails.py": [
        ("import Message, NodeId, Tail", "import Marco, Message, NodeId, Tail"),
        (REQUEST, ANSWERED),
    ],
}

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://nm-bus.example/schemas/marco/v1.json",
    "title": "Marco",
    "type": "object",
    "properties": {"word": {"type": "string", "maxLength": 100}},
}

TEST = """
from nm_bus.messages import Marco

from .conftest import Simulation

HERE = "sn1.example.org"


def test_it_is_answered(make_simulation) -> None:
    simulation = make_simulation(HERE)
    simulation.start()
    answer = simulation.ask(HERE, Marco("hello"))
    assert answer is not None
    assert answer.data == {"polo": "hello"}
"""


def copy(to: Path) -> None:
    for name in ("nm_bus", "agents", "broker", "schemas"):
        shutil.copytree(CHECKOUT / name, to / name, symlinks=True)
    (to / "tests/agents/supernode").mkdir(parents=True)
    shutil.copy(CHECKOUT / "tests/agents/supernode/conftest.py", to / "tests/agents/supernode")


def edit(path: Path, changes: list[tuple[str, str]]) -> None:
    text = path.read_text(encoding="utf-8")
    for before, after in changes:
        assert text.count(before) == 1, f"{path}: {before!r}"
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def test_a_request_is_added_by_touching_four_files(tmp_path: Path) -> None:
    copy(tmp_path)
    for name, changes in EDITS.items():
        edit(tmp_path / name, changes)
    schemas = tmp_path / "schemas" / "marco"
    schemas.mkdir()
    (schemas / "v1.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "tests/agents/supernode/test_marco.py").write_text(TEST)
    sources = [str(tmp_path), str(tmp_path / "agents"), str(tmp_path / "broker")]
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--import-mode=importlib"),
            *("-p", "no:cacheprovider", "tests/agents/supernode/test_marco.py"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sources)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(EDITS) <= MOST_TOUCHED
