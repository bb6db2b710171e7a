"""From a certificate and a few answers to a settings file that its program reads."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from nm_broker.pki import Authority
from nm_bus.settings import AdministratorSettings, MemberSettings, SupernodeSettings, load

from ..conftest import Run

NODE = "n1.example.org"


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    authority = Authority.create(tmp_path, "trial")
    for name in (NODE, f"_link.{NODE}"):
        authority.issue(name, tmp_path)
    return str(tmp_path / f"{NODE}.crt")


def test_a_members_file_names_the_host_as_its_certificate_does(
    run: Run, tmp_path: Path, certificate: str
) -> None:
    file = tmp_path / "new" / "member.toml"
    said = run(
        *("setup", "member", "--project", "cmip6", "--certificate", certificate),
        *("--supernode", "sn1.example.org@127.0.0.1", "--mount", "/data", "--to", str(file)),
        *("--network", "lan", "--json"),
    )

    assert said.exit_code == 0, said.stderr
    assert json.loads(said.stdout)["file"] == str(file)
    settings = load(file, MemberSettings)
    assert (settings.project, settings.node, settings.network) == ("cmip6", NODE, "lan")
    assert [(p.node, p.broker.address) for p in settings.supernodes] == [
        ("sn1.example.org", "127.0.0.1")
    ]
    assert settings.metrics.mounts == ("/data",)
    assert settings.tls.key == Path(certificate).with_suffix(".key")


def test_a_supernodes_file_has_its_links_certificate_and_its_peers(
    run: Run, tmp_path: Path, certificate: str
) -> None:
    file = tmp_path / "supernode.toml"
    said = run(
        *("setup", "supernode", "--project", "cmip6", "--certificate", certificate),
        *("--peer", "sn2.example.org", "--peer", "sn3.example.org:5672", "--to", str(file)),
    )

    assert said.exit_code == 0, said.stderr
    settings = load(file, SupernodeSettings)
    assert settings.link_tls is not None
    assert settings.link_tls.certificate == tmp_path / f"_link.{NODE}.crt"
    assert [(p.node, p.broker.port) for p in settings.peers] == [
        ("sn2.example.org", 5671),
        ("sn3.example.org", 5672),
    ]
    assert settings.management.password_file == settings.folder / "management.password"


def test_an_administrators_file_has_the_supernodes_in_the_order_given(
    run: Run, tmp_path: Path, certificate: str
) -> None:
    file = tmp_path / "new" / "admin.toml"
    said = run(
        *("setup", "admin", "--project", "cmip6", "--certificate", certificate),
        *("--supernode", "sn2.example.org", "--supernode", "sn1.example.org", "--to", str(file)),
    )

    assert said.exit_code == 0, said.stderr
    names = [peer.node for peer in load(file, AdministratorSettings).supernodes]
    assert names == ["sn2.example.org", "sn1.example.org"]


def test_where_nobody_can_answer_the_missing_option_is_named(
    run: Run, tmp_path: Path, certificate: str
) -> None:
    file = tmp_path / "member.toml"
    said = run("setup", "member", "--project", "cmip6", "--certificate", certificate)

    assert said.exit_code == 2
    assert said.stderr == (
        "nm-bus: --supernode: is needed; give --supernode, or run this at a terminal\n"
    )
    assert not file.exists()


def test_a_certificate_without_its_key_is_refused_before_anything_is_written(
    run: Run, tmp_path: Path, certificate: str
) -> None:
    Path(certificate).with_suffix(".key").unlink()
    said = run("setup", "member", "--project", "cmip6", "--certificate", certificate)

    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert f"{NODE}.key: the file is not there" in said.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--network", "fast"), ("--project", "CMIP 6"), ("--supernode", "a b")]
)
def test_an_answer_that_no_program_would_take_is_refused(
    run: Run, tmp_path: Path, certificate: str, option: str, value: str
) -> None:
    given = {"--project": "cmip6", "--supernode": "sn1.example.org", option: value}
    file = tmp_path / "member.toml"
    words = [word for pair in given.items() for word in pair]
    said = run("setup", "member", *words, "--certificate", certificate, "--to", str(file))

    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert not file.exists()


def test_at_a_terminal_what_is_missing_is_asked(tmp_path: Path, certificate: str) -> None:
    file = tmp_path / "member.toml"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nm_agents.main", "setup", "member"]
    options = ["--project", "cmip6", "--certificate", certificate, "--to", str(file)]
    with subprocess.Popen(
        [*command, *options], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as child:
        os.close(theirs)
        os.write(ours, b"sn1.example.org\n\n\n")  # the home; then twice what is offered
        said, _ = child.communicate(timeout=60)
    os.close(ours)

    assert child.returncode == 0
    assert said.startswith(f"{file}: written")
    settings = load(file, MemberSettings)
    assert settings.supernodes[0].node == "sn1.example.org"
    assert (settings.network, settings.metrics.mounts) == ("wan", ("/",))
