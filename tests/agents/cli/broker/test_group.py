"""`nm-bus broker` without a broker: files, refusals, and whom a command may touch."""

import json
import stat
from pathlib import Path

import pytest

from nm_agents.cli.broker.logins import allowed, names_of
from nm_agents.cli.doctor.broker import examine_broker
from nm_agents.cli.doctor.finding import Level
from nm_broker.pki import Authority
from nm_broker.standing import Login
from nm_broker.testing.canned import answering
from nm_bus.errors import ConfigError, RefusedError
from nm_bus.identity.role import Role
from nm_bus.settings import SupernodeSettings, load

from ..conftest import Run

NODE, PEER = "sn1.example.org", "sn2.example.org"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A supernode's settings with certificates, and a broker that nobody runs."""
    authority = Authority.create(tmp_path)
    for name in (NODE, f"_link.{NODE}"):
        authority.issue(name, tmp_path)
    file = tmp_path / "supernode.toml"
    file.write_text(f"""
project = "demo"
node = "{NODE}"
folder = "state"
broker = {{ host = "{NODE}" }}
tls = {{ ca = "ca.crt", certificate = "{NODE}.crt", key = "{NODE}.key" }}
link_tls = {{ ca = "ca.crt", certificate = "_link.{NODE}.crt", key = "_link.{NODE}.key" }}
management = {{ url = "http://127.0.0.1:9", password_file = "keep/password" }}
peers = [{{ node = "{PEER}", broker = {{ host = "{PEER}" }} }}]
""")
    return file


def files(run: Run, config: Path, folder: Path, *more: str) -> tuple[int, str, str]:
    said = run("broker", "files", "--config", str(config), "--folder", str(folder), *more)
    return said.exit_code, said.stdout, said.stderr


def test_the_files_are_written_and_secrets_are_their_owners_alone(
    run: Run, config: Path, tmp_path: Path
) -> None:
    etc = tmp_path / "etc"
    code, said, _ = files(run, config, etc, "--json")
    assert code == 0
    told = json.loads(said)
    modes = {Path(file["path"]).name: file["mode"] for file in told["files"]}
    assert {name for name, mode in modes.items() if mode == "600"} == {
        "definitions.json",
        "server.key",
        "password",
    }
    for file in told["files"]:
        assert f"{stat.S_IMODE(Path(file['path']).stat().st_mode):o}" == file["mode"]
    assert f"ssl_options.keyfile = {etc / 'server.key'}" in (etc / "rabbitmq.conf").read_text()
    assert any("_link" in step for step in told["next"])
    assert told["next"][-1] == f"nm-bus broker setup --config {config}"


def test_neither_the_password_nor_the_key_is_ever_printed(
    run: Run, config: Path, tmp_path: Path
) -> None:
    etc = tmp_path / "etc"
    _, shown, _ = files(run, config, etc, "--dry-run")
    assert not etc.exists()
    assert "listeners.tcp = none" in shown
    _, written, _ = files(run, config, etc)
    _, again, _ = files(run, config, etc, "--dry-run")
    password = (tmp_path / "keep" / "password").read_text()
    for said in (shown, written, again):
        assert password not in said
        assert "PRIVATE KEY" not in said
        assert "password_hash" not in said


def test_what_is_there_is_overwritten_only_when_forced(
    run: Run, config: Path, tmp_path: Path
) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "advanced.config").write_text("somebody's own")
    code, _, said = files(run, config, etc)
    assert (code, said.count("\n")) == (2, 1)
    assert "--force" in said
    assert [file.name for file in etc.iterdir()] == ["advanced.config"]
    assert files(run, config, etc, "--force")[0] == 0
    assert "somebody" not in (etc / "advanced.config").read_text()


def test_a_password_outlives_new_files(run: Run, config: Path, tmp_path: Path) -> None:
    files(run, config, tmp_path / "etc")
    before = (tmp_path / "keep" / "password").read_text()
    files(run, config, tmp_path / "etc", "--force")
    assert (tmp_path / "keep" / "password").read_text() == before


def test_a_folder_that_cannot_be_written_is_one_sentence(
    run: Run, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "etc").write_text("a file")
    code, _, said = files(run, config, tmp_path / "etc")
    assert (code, said.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", ["users", "links", "setup"])
def test_a_broker_that_does_not_answer_is_exit_code_3(
    run: Run, config: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "password").write_text("secret")
    said = run("broker", command, "--config", str(config))
    assert (said.exit_code, said.stderr.count("\n")) == (3, 1)
    assert "secret" not in said.stderr


@pytest.mark.parametrize("command", ["users", "run"])
def test_settings_without_a_password_file_are_to_be_mended(
    run: Run, config: Path, command: str
) -> None:
    text = config.read_text().replace(', password_file = "keep/password"', "")
    config.write_text(text)
    said = run("broker", command, "--config", str(config))
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert "password_file" in said.stderr


def test_names_stand_in_a_file_or_for_themselves(tmp_path: Path) -> None:
    # as an editor of another system writes it, with a byte order mark
    (tmp_path / "members").write_text("\ufeffn1.example.org\n\n# ours\nn2.example.org  # new\n")
    given = [str(tmp_path / "members"), "n3.example.org", "n1.example.org"]
    assert names_of(given) == ["n1.example.org", "n2.example.org", "n3.example.org"]
    with pytest.raises(ConfigError, match="the file is not there"):
        names_of([str(tmp_path / "nobody")])


KNOWN = {
    "n1": Login("n1", Role.MEMBER),
    "me": Login("me", Role.ADMINISTRATOR),
    "odd": Login("odd", None),
}


@pytest.mark.parametrize("name", ["n1", "new", "odd"])
def test_who_has_the_role_or_none_may_be_touched(name: str) -> None:
    allowed(NODE, KNOWN, Role.MEMBER, [name])


@pytest.mark.parametrize("name", ["me", NODE])
def test_no_command_takes_the_rights_of_another_role_away(name: str) -> None:
    with pytest.raises(RefusedError):
        allowed(NODE, KNOWN, Role.MEMBER, [name])


def test_a_name_that_is_no_id_is_told_before_anything_is_made() -> None:
    with pytest.raises(ConfigError, match="is no id"):
        allowed(NODE, KNOWN, Role.MEMBER, ["n2", "N3.example.org"])


ODD = [b"null", b"{}", b"[1]", b'"ok"', b'[{"name": 7}]', b"[" * 100_000, b"<html>sign in</html>"]
"""What RabbitMQ would not answer."""

COMMANDS = [
    ("broker", "setup"),
    ("broker", "links"),
    ("dead", "list"),
    ("dead", "show", "1"),
    ("dead", "purge", "--yes"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("body", ODD)
def test_what_is_not_the_management_api_is_one_sentence(
    run: Run, config: Path, body: bytes, command: tuple[str, ...]
) -> None:
    with answering(body) as url:
        said = run(*command, "--config", str(managed_at(config, url)))
    assert said.exit_code == 2
    assert said.stderr.count("\n") == 1
    assert "is it the management API of RabbitMQ?" in said.stderr


@pytest.mark.parametrize("body", ODD)
def test_doctor_says_what_is_not_the_management_api(config: Path, body: bytes) -> None:
    with answering(body) as url:
        settings = load(managed_at(config, url), SupernodeSettings)
        (found,) = examine_broker(settings, 30.0)
    assert found.level is Level.FAIL
    assert "is it the management API of RabbitMQ?" in found.text


def managed_at(config: Path, url: str) -> Path:
    """The settings, with this management API."""
    password = config.parent / "keep" / "password"
    password.parent.mkdir()
    password.write_text("secret")
    config.write_text(config.read_text().replace("http://127.0.0.1:9", url))
    return config
