from pathlib import Path

from nm_broker.program import Installed, Unpacked


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    assert "install rabbitmq-server" in Installed(tmp_path).missing()
    assert Unpacked(tmp_path).missing() != ""


def test_an_installed_broker_becomes_the_machine() -> None:
    assert Installed().command("rabbitmqctl", ()) == ["/usr/lib/rabbitmq/bin/rabbitmqctl"]
    assert Installed().vm(42) == 42


def test_an_unpacked_one_sees_the_given_folders_and_works_in_the_first(tmp_path: Path) -> None:
    folders = (tmp_path / "own", tmp_path / "pki")
    command = Unpacked(Path("/tree")).command("rabbitmq-server", folders)
    assert command[:4] == ["bwrap", "--ro-bind", "/tree/usr", "/usr"]
    for folder in folders:
        at = command.index(str(folder))
        assert command[at - 1 : at + 2] == ["--bind", str(folder), str(folder)]
    assert command[-3:] == ["--chdir", str(folders[0]), "/usr/lib/rabbitmq/bin/rabbitmq-server"]


def test_without_a_child_the_process_is_its_own_machine() -> None:
    assert Unpacked(Path("/tree")).vm(2**22 + 1) == 2**22 + 1
