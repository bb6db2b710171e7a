"""A member that is killed at any moment: its files stay whole, its next life repairs the rest."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from nm_agents.member import followed
from nm_agents.member.documents import Changed, Documents, kept_on
from nm_agents.member.followed import load
from nm_bus.settings import DocumentsSettings

LIVES = 12
NAMES = ("a", "b/c")

WRITER = """
import sys
from pathlib import Path
from nm_agents.member import followed
from nm_agents.member.documents import Documents, kept_on
from nm_bus.core.ledger.follower import Place
from nm_bus.settings import DocumentsSettings

folder, state = Path(sys.argv[1]), Path(sys.argv[2])
known, _ = followed.load(state)
kept = kept_on((DocumentsSettings("c", folder),), Path("member.toml"))
documents = Documents(kept, known, lambda change: None)
documents.begin()
number = known.place("config/c").number
print(number, flush=True)
while True:
    number += 1
    known.moved(Place(1, number, "", "config/c"))
    for name in ("a", "b/c"):
        documents.say(f"config/c/{name}", {"content": f"{number} " * 2000}, number)
    documents.settle()
    followed.save(state, known)
"""


def killed_after(folder: Path, state: Path, seconds: float) -> None:
    command = [sys.executable, "-c", WRITER, str(folder), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        try:
            writer.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(writer.pid, signal.SIGKILL)
        assert writer.wait(30) == -signal.SIGKILL


def whole(path: Path) -> int:
    """The revision that a file holds: one alone, and all of it."""
    words = path.read_text().split()
    assert len(words) == 2000
    assert len(set(words)) == 1
    return int(words[0])


def test_a_member_killed_between_writing_and_keeping_is_consistent_in_its_next_life(
    tmp_path: Path,
) -> None:
    folder, state = tmp_path / "docs", tmp_path / "following.json"
    chance, before = random.Random(7), 0
    for _ in range(LIVES):
        killed_after(folder, state, chance.uniform(0.0, 0.05))
        known, complaint = load(state)
        assert complaint == ""
        number = known.place("config/c").number
        assert number >= before, "what was kept is not forgotten"
        before = number
        for name in NAMES:
            if (folder / name).exists():
                assert whole(folder / name) - before in (0, 1), "at most one is ahead"
    assert before > 0
    changes: list[Changed] = []
    kept = kept_on((DocumentsSettings("c", folder, hook=("x",)),), Path("member.toml"))
    documents = Documents(kept, known, changes.append)
    documents.begin()
    for revision in (before, before + 1, before + 2):
        for name in NAMES:
            documents.say(f"config/c/{name}", {"content": f"{revision} " * 2000}, revision)
    documents.settle()
    followed.save(state, known)
    assert {whole(folder / name) for name in NAMES} == {before + 2}
    assert [change.revision for change in changes] == [before + 2] * 2
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"a", "c"} <= left <= {"a", "c", ".a.previous", ".c.previous", ".a.former", ".c.former"}
