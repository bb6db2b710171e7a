"""A folder of documents: whole files, the version before, and nothing outside of it."""

import errno
import grp
import os
import pwd
import shutil
from pathlib import Path

import pytest

from nm_agents.member.documentfolder import DocumentFolder, folder_of
from nm_bus.errors import ConfigError
from nm_bus.settings import DocumentsSettings


@pytest.fixture
def folder(tmp_path: Path) -> DocumentFolder:
    return DocumentFolder(tmp_path / "docs", mode=0o640)


def names(folder: DocumentFolder) -> set[str]:
    return {path.name for path in folder.path.rglob("*") if path.is_file()}


def test_a_document_is_written_with_the_mode_it_was_given(folder: DocumentFolder) -> None:
    assert folder.write("a.xml", b"one")
    assert (folder.path / "a.xml").read_bytes() == b"one"
    assert (folder.path / "a.xml").stat().st_mode & 0o7777 == 0o640
    assert names(folder) == {"a.xml"}


def test_the_version_before_is_kept(folder: DocumentFolder) -> None:
    for content in (b"one", b"two", b"three"):
        assert folder.write("a.xml", content)
    assert (folder.path / "a.xml").read_bytes() == b"three"
    assert (folder.path / ".a.xml.previous").read_bytes() == b"two"
    assert names(folder) == {"a.xml", ".a.xml.previous"}


def test_what_is_so_already_is_not_written_again(folder: DocumentFolder) -> None:
    folder.write("a.xml", b"one")
    before = (folder.path / "a.xml").stat()
    assert not folder.write("a.xml", b"one")
    after = (folder.path / "a.xml").stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert names(folder) == {"a.xml"}


def test_another_mode_is_mended(folder: DocumentFolder) -> None:
    folder.write("a.xml", b"one")
    (folder.path / "a.xml").chmod(0o666)
    assert folder.write("a.xml", b"one")
    assert (folder.path / "a.xml").stat().st_mode & 0o7777 == 0o640


def test_a_name_of_several_words_is_a_path_in_the_folder(folder: DocumentFolder) -> None:
    assert folder.write("cmip6/models/a.xml", b"one")
    assert (folder.path / "cmip6" / "models" / "a.xml").read_bytes() == b"one"
    assert folder.holds("cmip6/models/a.xml")
    assert folder.remove("cmip6/models/a.xml")
    assert not folder.holds("cmip6/models/a.xml")


def test_a_document_that_is_removed_is_kept_as_its_version_before(folder: DocumentFolder) -> None:
    folder.write("a.xml", b"one")
    assert folder.remove("a.xml")
    assert not folder.remove("a.xml")
    assert names(folder) == {".a.xml.previous"}


def test_removing_what_never_was_makes_nothing(folder: DocumentFolder) -> None:
    assert not folder.remove("cmip6/a.xml")
    assert not folder.path.exists()


@pytest.mark.parametrize(
    "name", ["../out", "/etc/out", "a/../../out", ".", "", "a//b", ".hidden", "a/", "a\0b", "a\nb"]
)
def test_no_name_leads_out_of_the_folder(folder: DocumentFolder, name: str) -> None:
    with pytest.raises(ValueError, match="is no document's name"):
        folder.write(name, b"x")
    assert not folder.holds(name)


def test_no_symbolic_link_leads_out_of_the_folder(folder: DocumentFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder.path.mkdir()
    (folder.path / "sub").symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        folder.write("sub/a.xml", b"x")
    assert list(outside.iterdir()) == []


def test_a_symbolic_link_in_a_documents_place_is_replaced(
    folder: DocumentFolder, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"theirs")
    folder.path.mkdir()
    (folder.path / "a.xml").symlink_to(target)
    (folder.path / ".a.xml.new").symlink_to(target)
    assert folder.write("a.xml", b"ours")
    assert target.read_bytes() == b"theirs"
    assert not (folder.path / "a.xml").is_symlink()


def test_a_folder_in_a_documents_place_is_an_error_and_stays(folder: DocumentFolder) -> None:
    (folder.path / "a.xml").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        folder.write("a.xml", b"x")
    assert (folder.path / "a.xml").is_dir()
    assert names(folder) == set()


@pytest.mark.parametrize("call", ["fsync", "rename", "fchown"])
def test_a_disk_that_fails_leaves_the_document_as_it_was(
    folder: DocumentFolder, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder.write("a.xml", b"one")
    with monkeypatch.context() as broken:
        broken.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left"):
            folder.write("a.xml", b"two")
    assert (folder.path / "a.xml").read_bytes() == b"one"
    assert names(folder) <= {"a.xml", ".a.xml.former"}
    assert folder.write("a.xml", b"two")
    assert names(folder) == {"a.xml", ".a.xml.previous"}


def test_files_that_a_killed_agent_left_are_in_nobodys_way(folder: DocumentFolder) -> None:
    folder.write("a.xml", b"one")
    (folder.path / ".a.xml.new").write_bytes(b"tw")
    (folder.path / ".a.xml.former").write_bytes(b"o")
    assert folder.write("a.xml", b"two")
    assert names(folder) == {"a.xml", ".a.xml.previous"}


def test_the_owner_is_found_by_name(tmp_path: Path) -> None:
    me, mine = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    settings = DocumentsSettings("c", tmp_path / "docs", owner=me, group=mine, mode="0600")
    folder = folder_of(settings, tmp_path / "member.toml")
    assert folder.write("a/b", b"x")
    status = (tmp_path / "docs" / "a" / "b").stat()
    assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (DocumentsSettings("c", Path("docs"), owner="nobody-here"), "owner is 'nobody-here'"),
        (DocumentsSettings("c", Path("docs"), group="nobody-here"), "group is 'nobody-here'"),
    ],
)
def test_an_owner_whom_nobody_knows_is_one_sentence(
    tmp_path: Path, settings: DocumentsSettings, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        folder_of(settings, tmp_path / "member.toml")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS])
def test_where_no_link_can_be_made_the_former_version_is_a_copy(
    folder: DocumentFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    folder.write("a.xml", b"one")
    monkeypatch.setattr(os, "link", refuses)
    assert folder.write("a.xml", b"two")
    assert (folder.path / "a.xml").read_bytes() == b"two"
    assert (folder.path / ".a.xml.previous").read_bytes() == b"one"
    assert folder.write("a.xml", b"three")
    assert (folder.path / ".a.xml.previous").read_bytes() == b"two"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_file_of_somebody_else_is_replaced(tmp_path: Path, mode: int) -> None:
    """As where a package has installed it: the folder may be written, the file belongs to root."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.xml").write_bytes(b"of the package")
    (docs / "a.xml").chmod(mode)
    os.chown(docs, 65534, 65534)
    for parent in docs.parents:
        if parent.owner() == "root" and parent.stat().st_mode & 0o077 == 0:
            parent.chmod(0o711)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            code = 0 if DocumentFolder(docs).write("a.xml", b"two") else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert (docs / "a.xml").read_bytes() == b"two"


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EPERM])
def test_a_former_version_that_cannot_be_kept_never_holds_up_the_new_one(
    folder: DocumentFolder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: int,
) -> None:
    def fails(*_args: object, **_more: object) -> None:
        raise OSError(error, os.strerror(error))

    folder.write("a.xml", b"one")
    monkeypatch.setattr(os, "link", fails)
    monkeypatch.setattr(shutil, "copyfileobj", fails)
    assert folder.write("a.xml", b"two")
    assert (folder.path / "a.xml").read_bytes() == b"two"
    assert names(folder) == {"a.xml"}
    (record,) = caplog.records
    assert str(folder.path / "a.xml") in record.getMessage()


def test_a_folder_in_the_former_version_s_place_never_holds_up_the_new_one(
    folder: DocumentFolder,
) -> None:
    folder.write("a.xml", b"one")
    (folder.path / ".a.xml.previous").mkdir()
    assert folder.write("a.xml", b"two")
    assert (folder.path / "a.xml").read_bytes() == b"two"
