"""Real files, the save patterns of editors, and a project's supernodes that answer from memory."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from nm_agents.publishing import scanning
from nm_agents.publishing.inhand import FILE as IN_HAND
from nm_agents.publishing.memory import FILE, remembered
from nm_agents.publishing.publisher import FolderPublisher
from nm_agents.publishing.told import FileEvent, Happened
from nm_bus.checking.checker import NoCheckError
from nm_bus.client import Client, LedgerEntry, content_of
from nm_bus.core.settling import Rest
from nm_bus.documents import Document, why_not
from nm_bus.errors import ConfigError, RefusedError
from nm_bus.settings import LOCAL
from nm_bus.testing.project import FakeProject
from nm_bus.testing.supernodes import FakeSupernodes

NODES = ("sn1.example.org", "sn2.example.org", "sn3.example.org")
ADMIN, EVE = "admin.example", "eve.example"
QUICK = type(LOCAL)(connect=0.2, retry_first=0.01, retry_most=0.02)
SETTLE = 2.0


@dataclass
class Stage:
    """A folder, its publisher at a clock of its own, and the ledger."""

    root: Path
    supernodes: FakeSupernodes
    client_of: Callable[[str], Client]
    now: float = 1000.0
    told: list[Happened] = field(default_factory=list)
    allow_empty: bool = False
    dry: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another life of the program on the same folder."""
        self.client = self.client_of(ADMIN)
        self.publisher = FolderPublisher(
            self.root,
            self.client,
            remembered(self.root, "demo", writes=not self.dry),
            Rest(SETTLE),
            lambda: self.now,
            self.told.append,
            dry=self.dry,
            force=self.force,
            allow_empty=self.allow_empty,
        )

    def look(self, *, everything: bool = False) -> bool:
        return self.publisher.look(everything=everything)

    def settle(self, *, everything: bool = False) -> None:
        """Look, let the files rest, look, and once more for what follows from that."""
        self.look(everything=everything)
        self.now += SETTLE
        assert not self.look(everything=everything)
        self.look()

    def save(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ledger(self) -> dict[str, bytes]:
        entries = self.client.entries("config/")
        return {e.key.removeprefix("config/"): content_of(e.value) for e in entries}

    def revision(self) -> int:
        return self.client.standing().revision

    def reason(self, name: str) -> str:
        path = (self.root / name).with_name(f".{Path(name).name}.refused")
        return path.read_text() if path.exists() else ""

    def whats(self) -> list[tuple[str, str]]:
        return [(told.what, told.key.removeprefix("config/")) for told in self.told]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    project = FakeProject(nodes=NODES, administrators=[ADMIN, EVE])
    root = tmp_path / "config.d"
    root.mkdir()
    with ExitStack() as stack:

        def client_of(who: str) -> Client:
            return stack.enter_context(project.client(who, timeout=0.5))

        yield Stage(root, project.supernodes, client_of)


def by_eve(stage: Stage, component: str, name: str, content: str) -> int:
    """Somebody else changes a document."""
    return stage.client_of(EVE).put(component, name, content).revision


# --- saving


def test_a_saved_file_becomes_a_change_once_it_is_quiet(stage: Stage) -> None:
    stage.save("thredds/a.xml", "<a/>")
    assert stage.look()
    stage.now += SETTLE / 2
    assert stage.look()
    assert stage.ledger() == {}
    stage.now += SETTLE / 2
    assert not stage.look()
    assert stage.ledger() == {"thredds/a.xml": b"<a/>"}
    assert stage.told == [
        Happened(FileEvent.PUT, "config/thredds/a.xml", "agreed at revision 1", 1)
    ]


def test_what_the_ledger_has_already_is_not_proposed_again(stage: Stage) -> None:
    by_eve(stage, "thredds", "a.txt", "same")
    path = stage.save("thredds/a.txt", "same")
    stage.settle()
    os.utime(path, ns=(1, 1))
    stage.settle(everything=True)
    stage.restart()
    stage.settle(everything=True)
    assert stage.revision() == 1
    assert stage.told == []


def test_each_save_that_rested_is_one_version(stage: Stage) -> None:
    for content in ("one", "two"):
        stage.save("thredds/deep/er/a.txt", content)
        stage.settle()
    assert [u.revision for u in stage.client.history("config/thredds/deep/er/a.txt")] == [2, 1]


def test_bytes_that_are_no_text_arrive_as_they_are(stage: Stage) -> None:
    stage.save("portal/logo", b"\x89PNG\0\xff")
    stage.settle()
    assert stage.ledger() == {"portal/logo": b"\x89PNG\0\xff"}


def by_vim(path: Path, content: str) -> None:
    """Vim, `backupcopy=no`: tries the folder, moves the old file away, writes a new one."""
    swap = path.with_name(f".{path.name}.swp")
    swap.write_bytes(b"b0VIM 9.0")
    (path.parent / "4913").touch()
    (path.parent / "4913").unlink()
    path.rename(f"{path}~")
    path.write_text(content)
    Path(f"{path}~").unlink()
    swap.unlink()


def by_vim_in_place(path: Path, content: str) -> None:
    """Vim, `backupcopy=yes`: copies the old file, writes over it."""
    Path(f"{path}~").write_bytes(path.read_bytes())
    path.write_text(content)
    Path(f"{path}~").unlink()


def by_emacs(path: Path, content: str) -> None:
    """Emacs: a lock that is a dangling link, an autosave file, a backup that stays."""
    lock = path.with_name(f".#{path.name}")
    lock.symlink_to("me@host.1234:5678")
    path.with_name(f"#{path.name}#").write_text(content[:3])
    path.rename(f"{path}~")
    path.write_text(content)
    path.with_name(f"#{path.name}#").unlink()
    lock.unlink()


def by_jetbrains(path: Path, content: str) -> None:
    """A safe write: the new file beside the old one, which is moved away first."""
    new = path.with_name(f"{path.name}___jb_tmp___")
    new.write_text(content)
    path.rename(path.with_name(f"{path.name}___jb_old___"))
    new.rename(path)
    path.with_name(f"{path.name}___jb_old___").unlink()


def by_rsync(path: Path, content: str) -> None:
    """A hidden name with a random end, then a rename."""
    new = path.with_name(f".{path.name}.X3fQ2z")
    new.write_text(content)
    new.rename(path)


def by_sed(path: Path, content: str) -> None:
    """`sed -i`: a name of no known kind, then a rename."""
    new = path.with_name("sedQ2zX3f")
    new.write_text(content)
    new.rename(path)


EDITORS = [by_vim, by_vim_in_place, by_emacs, by_jetbrains, by_rsync, by_sed]


@pytest.mark.parametrize("edit", EDITORS, ids=lambda edit: edit.__name__)
def test_a_save_by_an_editor_is_one_change_of_one_document(
    stage: Stage, edit: Callable[[Path, str], None]
) -> None:
    path = stage.save("thredds/a.txt", "before")
    stage.settle()
    edit(path, "after")
    stage.settle()
    assert stage.ledger() == {"thredds/a.txt": b"after"}
    assert stage.revision() == 2
    assert stage.whats() == [("put", "thredds/a.txt")] * 2


@pytest.mark.parametrize("edit", EDITORS, ids=lambda edit: edit.__name__)
def test_a_look_between_any_two_steps_of_a_save_does_no_harm(
    stage: Stage, edit: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stage.save("thredds/a.txt", "before")
    stage.save("thredds/b.txt", "other")
    stage.settle()
    for step in ("rename", "write_text", "unlink"):
        original = getattr(Path, step)

        def looked(self: Path, *given: str, original: Callable[..., object] = original) -> object:
            stage.now += 0.1
            stage.look()
            result = original(self, *given)
            stage.now += 0.1
            stage.look()
            return result

        monkeypatch.setattr(Path, step, looked)
    edit(path, "after")
    monkeypatch.undo()
    stage.settle()
    assert stage.ledger() == {"thredds/a.txt": b"after", "thredds/b.txt": b"other"}
    assert stage.revision() == 3


def test_a_file_that_is_still_written_waits(stage: Stage) -> None:
    for length in range(1, 6):
        stage.save("thredds/a.txt", "x" * length)
        assert stage.look()
        stage.now += SETTLE * 0.9
    assert stage.ledger() == {}


# --- refusing


def test_a_refused_file_gets_its_reason_beside_it_until_it_is_well(stage: Stage) -> None:
    stage.save("thredds/a.json", '{"half": ')
    stage.settle()
    assert "is no JSON" in stage.reason("thredds/a.json")
    assert stage.reason("thredds/a.json").count("\n") == 1
    assert stage.ledger() == {}
    stage.save("thredds/a.json", '{"half": 1}')
    stage.look()
    assert stage.reason("thredds/a.json"), "it stays until the file is seen to be well"
    stage.settle()
    assert stage.reason("thredds/a.json") == ""
    assert stage.whats() == [
        ("refused", "thredds/a.json"), ("put", "thredds/a.json"), ("well", "thredds/a.json")
    ]  # fmt: skip


def test_a_reason_goes_with_its_file_and_with_a_restart_that_finds_it_well(stage: Stage) -> None:
    path = stage.save("thredds/a.json", "{")
    stage.save("thredds/b.json", "{")
    stage.settle()
    path.unlink()
    stage.save("thredds/b.json", "{}")
    stage.restart()
    stage.settle(everything=True)
    assert stage.reason("thredds/a.json") == stage.reason("thredds/b.json") == ""


@pytest.mark.parametrize(
    ("name", "content", "because"),
    [
        ("thredds/db.properties", "db.password=hunter2\n", "looks like a password"),
        ("thredds/big.txt", "x" * 70_000, "is too large"),
        ("thredds/a.ini", b"\xff", "is no UTF-8"),
        ("thredds/my file.txt", "x", "is no document's name"),
        ("stray.txt", "x", "lies in no component's folder"),
        ("my component/a.txt", "x", "is no component's name"),
    ],
)
def test_what_may_not_be_published_says_why(
    stage: Stage, name: str, content: str | bytes, because: str
) -> None:
    stage.save(name, content)
    stage.settle()
    assert because in stage.reason(name)
    assert stage.ledger() == {}
    assert len(stage.told) == 1


ODD_NAMES = [
    b"k\xe4se.xml",
    "Kopie von \u03b1.txt".encode(),
    b"two\nlines.txt",
    b"bell\x07.txt",
    b"catalog (copy).xml",
    b"tab\t.txt",
    b"-rf.txt",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_is_no_key_is_that_file_s_trouble_alone(stage: Stage, name: bytes) -> None:
    stage.save("thredds/good.xml", "<a/>")
    odd = stage.save(f"thredds/{os.fsdecode(name)}", "x")
    stage.save("zoo/good.txt", "x")
    stage.settle()
    assert stage.ledger().keys() == {"thredds/good.xml", "zoo/good.txt"}
    assert "is no document's name" in stage.reason(f"thredds/{os.fsdecode(name)}")
    odd.unlink()
    stage.settle()
    assert stage.reason(f"thredds/{os.fsdecode(name)}") == ""


def test_an_odd_component_s_name_is_that_folder_s_trouble_alone(stage: Stage) -> None:
    stage.save(f"{os.fsdecode(b'gr' + bytes([0xFC]) + b'n')}/a.txt", "x")
    stage.save("thredds/good.txt", "x")
    stage.settle()
    assert stage.ledger().keys() == {"thredds/good.txt"}


def test_folders_without_end_are_not_followed(stage: Stage) -> None:
    stage.save("thredds/good.txt", "x")
    deep = os.open(stage.root / "thredds", os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=deep)
        below = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)
    stage.settle()
    assert stage.ledger().keys() == {"thredds/good.txt"}
    assert any("too deep" in told.text for told in stage.told)


def test_a_key_that_the_ledger_refuses_is_that_file_s_trouble_alone(stage: Stage) -> None:
    class Picky(Client):
        def get(self, key: str, *, at_least: int = 0, agreed: bool = False) -> LedgerEntry | None:
            if "bad" in key:
                raise RefusedError("no such key for you")
            return super().get(key, at_least=at_least, agreed=agreed)

    stage.client.__class__ = Picky
    stage.save("thredds/bad.txt", "x")
    stage.save("thredds/good.txt", "x")
    stage.settle()
    assert stage.ledger().keys() == {"thredds/good.txt"}
    assert stage.reason("thredds/bad.txt") == "no such key for you\n"


def test_a_file_that_could_not_be_checked_holds_up_no_other_and_is_checked_again(
    stage: Stage,
) -> None:
    def killed(document: Document, *, forced: bool = False) -> str:
        if document.name == "a.txt":
            raise NoCheckError("it was killed")
        return why_not(document, forced=forced)

    stage.publisher.why_not = killed
    for name in ("a.txt", "b.txt"):
        stage.save(f"thredds/{name}", name)
    stage.settle()
    assert stage.ledger() == {"thredds/b.txt": b"b.txt"}
    assert "was not checked" in stage.reason("thredds/a.txt")
    stage.publisher.why_not = why_not
    stage.look()
    assert set(stage.ledger()) == {"thredds/a.txt", "thredds/b.txt"}
    stage.look()
    assert stage.reason("thredds/a.txt") == ""


def test_a_folder_in_the_place_of_a_file_deletes_nothing(stage: Stage) -> None:
    path = stage.save("thredds/a.txt", "x")
    stage.save("thredds/b.txt", "x")
    stage.settle()
    path.unlink()
    path.mkdir()
    stage.settle()
    assert stage.ledger().keys() == {"thredds/a.txt", "thredds/b.txt"}
    assert "a folder is where the file was" in stage.reason("thredds/a.txt")


def test_a_change_that_leaves_size_and_date_is_noticed(stage: Stage) -> None:
    path = stage.save("thredds/a.txt", "one")
    stage.settle()
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    stage.settle()
    assert stage.ledger() == {"thredds/a.txt": b"two"}


def test_a_change_without_any_trace_is_found_when_everything_is_looked_at(stage: Stage) -> None:
    path = stage.save("thredds/a.txt", "one")
    stage.settle()
    path.write_text("two")
    with pytest.MonkeyPatch.context() as patch:
        status = next(iter(stage.publisher._digests.values()))[0]
        patch.setattr(scanning, "_signature", lambda _: status)
        stage.settle()
        assert stage.ledger() == {"thredds/a.txt": b"one"}
        stage.settle(everything=True)
    assert stage.ledger() == {"thredds/a.txt": b"two"}


def test_a_file_in_hand_when_the_program_died_twice_is_set_aside(stage: Stage) -> None:
    path = stage.save("thredds/killer.xml", "<a/>")
    stage.save("thredds/good.txt", "x")
    for _ in range(2):
        stage.restart()
        digest = sha256(path.read_bytes()).hexdigest()
        child = os.fork()
        if child == 0:
            with stage.publisher.in_hand.holding("config/thredds/killer.xml", digest):
                os._exit(9)
        os.waitpid(child, 0)
    stage.restart()
    stage.settle()
    assert stage.ledger().keys() == {"thredds/good.txt"}
    assert "set aside" in stage.reason("thredds/killer.xml")
    path.write_text("<b/>")
    stage.settle()
    assert stage.ledger().keys() == {"thredds/good.txt", "thredds/killer.xml"}
    assert not (stage.root / IN_HAND).exists()


def test_what_looks_like_a_secret_can_be_forced(stage: Stage) -> None:
    stage.force = True
    stage.restart()
    stage.save("thredds/db.properties", "db.password=hunter2\n")
    stage.settle()
    assert "thredds/db.properties" in stage.ledger()


def test_a_schema_in_the_ledger_holds_for_the_folder(stage: Stage) -> None:
    stage.client.put("thredds", "a.json", "{}", schema='{"maxProperties": 0}')
    stage.save("thredds/a.json", "{}")
    stage.settle()
    stage.save("thredds/a.json", '{"more": 1}')
    stage.settle()
    assert "is refused by its schema" in stage.reason("thredds/a.json")
    assert stage.ledger() == {"thredds/a.json": b"{}"}


def test_links_and_pipes_are_refused_and_not_opened(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (stage.root / "thredds").mkdir()
    (stage.root / "thredds" / "a.txt").symlink_to(tmp_path / "secret")
    os.mkfifo(stage.root / "thredds" / "b.txt")
    (stage.root / "solr").symlink_to(stage.root / "thredds")
    stage.settle()
    assert "links are not followed" in stage.reason("solr")
    assert "no plain file" in stage.reason("thredds/a.txt")
    assert "no plain file" in stage.reason("thredds/b.txt")


def test_who_may_not_publish_is_told_once_and_tried_again_now_and_then(stage: Stage) -> None:
    stage.restart()
    stage.client = stage.client_of("nobody.example")
    stage.publisher.ledger = stage.client
    stage.save("thredds/a.txt", "x")
    stage.settle()
    stage.settle()
    decided = len(stage.supernodes.decided)
    assert decided == 1
    assert stage.reason("thredds/a.txt") != ""
    stage.settle(everything=True)
    assert len(stage.supernodes.decided) > decided


# --- others


def test_what_somebody_else_changed_is_not_overwritten(stage: Stage) -> None:
    stage.save("thredds/a.txt", "mine")
    stage.settle()
    revision = by_eve(stage, "thredds", "a.txt", "hers")
    stage.save("thredds/a.txt", "mine again")
    stage.settle()
    because = f"changed meanwhile at revision {revision} by {EVE}: see `nm-bus config diff"
    assert because in stage.reason("thredds/a.txt")
    assert stage.ledger() == {"thredds/a.txt": b"hers"}
    stage.settle()
    assert stage.reason("thredds/a.txt") != "", "it stays while nothing changes"
    stage.save("thredds/a.txt", "hers")
    stage.settle()
    assert stage.reason("thredds/a.txt") == ""
    stage.save("thredds/a.txt", "both")
    stage.settle()
    assert stage.ledger() == {"thredds/a.txt": b"both"}


def test_whoever_insists_puts_the_file_by_hand_and_the_folder_goes_on(stage: Stage) -> None:
    by_eve(stage, "thredds", "a.txt", "hers")
    stage.save("thredds/a.txt", "mine")
    stage.settle()
    assert "changed meanwhile" in stage.reason("thredds/a.txt")
    stage.client.put("thredds", "a.txt", "mine")
    stage.settle()
    assert stage.reason("thredds/a.txt") == ""


def test_a_change_by_somebody_else_is_noticed_in_time_though_the_file_is_not_touched(
    stage: Stage,
) -> None:
    stage.save("thredds/a.txt", "mine")
    stage.settle()
    by_eve(stage, "thredds", "a.txt", "hers")
    stage.settle()
    assert stage.reason("thredds/a.txt") == ""
    stage.settle(everything=True)
    assert "changed meanwhile" in stage.reason("thredds/a.txt")


def test_a_change_that_is_only_accepted_is_told_apart_and_is_no_surprise_later(
    stage: Stage,
) -> None:
    stage.save("thredds/a.txt", "one")
    stage.settle()
    for node in NODES:
        stage.supernodes.by_node[node].cut = True
    stage.save("thredds/a.txt", "two")
    stage.settle()
    assert stage.told[-1].what is FileEvent.ACCEPTED
    assert "not agreed yet" in stage.told[-1].text
    assert stage.reason("thredds/a.txt") == ""
    for node in NODES:
        stage.supernodes.heal(node)
    stage.save("thredds/a.txt", "three")
    stage.settle()
    assert stage.ledger() == {"thredds/a.txt": b"three"}


# --- deleting and moving


def test_a_deleted_file_deletes_its_document_once_it_stays_away(stage: Stage) -> None:
    path = stage.save("thredds/a.txt", "x")
    stage.settle()
    path.unlink()
    stage.look()
    assert "thredds/a.txt" in stage.ledger()
    stage.settle()
    assert stage.ledger() == {}
    stage.save("thredds/a.txt", "again")
    stage.settle()
    assert stage.ledger() == {"thredds/a.txt": b"again"}


def test_a_file_deleted_while_nobody_watched_deletes_its_document(stage: Stage) -> None:
    path = stage.save("thredds/a.txt", "x")
    stage.settle()
    path.unlink()
    stage.restart()
    stage.settle(everything=True)
    assert stage.ledger() == {}


def test_what_this_folder_never_published_is_not_deleted(stage: Stage) -> None:
    by_eve(stage, "thredds", "hers.txt", "x")
    stage.settle(everything=True)
    assert "thredds/hers.txt" in stage.ledger()


def test_a_renamed_file_is_a_new_document_and_the_old_one_goes(stage: Stage) -> None:
    path = stage.save("thredds/a.txt", "x")
    stage.settle()
    path.rename(path.with_name("b.txt"))
    stage.settle()
    assert stage.ledger() == {"thredds/b.txt": b"x"}
    assert stage.whats()[-2:] == [("put", "thredds/b.txt"), ("deleted", "thredds/a.txt")]


def test_a_moved_folder_moves_its_documents(stage: Stage) -> None:
    for name in ("a.txt", "b.txt", "deep/c.txt"):
        stage.save(f"thredds/{name}", name)
    stage.settle()
    (stage.root / "thredds").rename(stage.root / "catalogs")
    stage.settle()
    assert set(stage.ledger()) == {"catalogs/a.txt", "catalogs/b.txt", "catalogs/deep/c.txt"}


def test_a_vanished_folder_deletes_nothing_unless_that_is_meant(stage: Stage) -> None:
    for name in ("a.txt", "b.txt"):
        stage.save(f"thredds/{name}", name)
    stage.settle()
    (stage.root / "thredds").rename(stage.root.parent / "elsewhere")
    stage.settle()
    assert len(stage.ledger()) == 2
    assert "--allow-empty" in stage.reason("thredds")
    stage.allow_empty = True
    stage.restart()
    stage.settle(everything=True)
    assert stage.ledger() == {}
    assert stage.reason("thredds") == ""


def test_a_folder_that_comes_back_goes_on_as_before(stage: Stage) -> None:
    for name in ("a.txt", "b.txt"):
        stage.save(f"thredds/{name}", name)
    stage.settle()
    (stage.root / "thredds").rename(stage.root.parent / "elsewhere")
    stage.settle()
    (stage.root.parent / "elsewhere").rename(stage.root / "thredds")
    stage.settle()
    assert stage.reason("thredds") == ""
    assert stage.revision() == 2


def test_an_empty_folder_in_the_place_of_the_whole_deletes_nothing(stage: Stage) -> None:
    stage.save("thredds/a.txt", "x")
    stage.settle()
    stage.root.rename(stage.root.parent / "elsewhere")
    stage.root.mkdir()
    stage.settle(everything=True)
    stage.restart()
    stage.settle(everything=True)
    assert stage.ledger() == {"thredds/a.txt": b"x"}


def test_a_folder_that_cannot_be_looked_at_is_an_error_not_an_empty_one(stage: Stage) -> None:
    stage.save("thredds/a.txt", "x")
    stage.settle()
    stage.root.rename(stage.root.parent / "elsewhere")
    with pytest.raises(FileNotFoundError):
        stage.look()


# --- dry runs and memory


def test_a_dry_run_shows_the_difference_and_changes_nothing(stage: Stage) -> None:
    path = stage.save("thredds/a.txt", "one\n")
    stage.save("thredds/b.txt", "b\n")
    stage.settle()
    stage.dry = True
    stage.restart()
    stage.save("thredds/a.txt", "two\n")
    stage.save("thredds/c.json", "{")
    path.with_name("b.txt").unlink()
    before = sorted(stage.root.rglob("*"))
    stage.settle(everything=True)
    assert stage.ledger() == {"thredds/a.txt": b"one\n", "thredds/b.txt": b"b\n"}
    assert sorted(stage.root.rglob("*")) == before
    put = next(told for told in stage.told if told.what is FileEvent.WOULD_PUT)
    assert put.lines[-2:] == ("-one", "+two")
    assert ("would delete", "thredds/b.txt") in stage.whats()
    assert ("refused", "thredds/c.json") in stage.whats()


def test_a_folder_of_another_project_or_with_a_damaged_memory_is_not_published(
    stage: Stage,
) -> None:
    stage.save("thredds/a.txt", "x")
    stage.settle()
    with pytest.raises(ConfigError, match="publishes for the project demo, not for cordex"):
        remembered(stage.root, "cordex")
    (stage.root / FILE).write_text("{")
    with pytest.raises(ConfigError, match="remove it"):
        remembered(stage.root, "demo")
