"""What a person can fix is one clear sentence and exit code 2, with nothing half begun."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from nm_agents.folder import own_folder, writable
from nm_agents.member.program import check_settings
from nm_broker.pki import Authority
from nm_bus.errors import ConfigError
from nm_bus.settings import MemberSettings, Tls, load

NODE = "n1.llnl.gov"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return authority.issue(NODE, tmp_path_factory.mktemp("n1"))


def at(broker: dict[str, Any]) -> dict[str, Any]:
    return {"node": "sn1.example.org", "broker": broker}


def as_table(tls: Tls) -> dict[str, str]:
    return {"ca": str(tls.ca), "certificate": str(tls.certificate), "key": str(tls.key)}


@pytest.fixture
def settings(tls: Tls, tmp_path: Path) -> dict[str, Any]:
    return {
        "project": "test",
        "node": NODE,
        "folder": str(tmp_path / "state"),
        "supernodes": [at({"host": "localhost", "port": 1})],
        "tls": as_table(tls),
        "network": "local",
    }


Run = Callable[[dict[str, Any]], tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(settings: dict[str, Any]) -> tuple[int, str]:
        file = tmp_path / "member.toml"
        file.write_bytes(tomli_w.dumps(settings).encode())
        ended = subprocess.run(
            [sys.executable, "-m", "nm_agents.main", "member", "run", "--config", str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.stdout == ""
        return ended.returncode, ended.stderr

    return run


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"colour": "red"}, "colour"),
        ({"heartbeat": {"interval": "often"}}, "heartbeat.interval"),
        ({"heartbeat": {"interval": 100_000.0}}, "heartbeat.interval: "),
        ({"tls": {"ca": "/no/ca", "certificate": "/no/c", "key": "/no/k"}}, "/no/ca: the file"),
        ({"folder": "/proc/nowhere"}, "/proc/nowhere: cannot be made or entered: "),
        ({"checks": [{"name": "a", "command": []}]}, "check a: `command` names no program"),
        ({"checks": [{"name": "a", "command": ["x"]}] * 2}, "two checks are named 'a'"),
        (
            {"checks": [{"name": "agent.spool", "command": ["x"]}]},
            "check agent.spool is the agent's own",
        ),
        (
            {"properties": {"endpoints": [{"name": "n", "url": "u" * 2000}] * 200}},
            "properties: all properties take 4",
        ),
        ({"documents": [{"component": "c", "folder": "d", "hook": [""]}]}, "`hook` names no"),
        ({"documents": [{"component": "c", "folder": "d", "mode": "9"}]}, "documents"),
        ({"documents": [{"component": "../c", "folder": "d"}]}, "documents"),
        (
            {"documents": [{"component": "c", "folder": "d", "owner": "nobody-here"}]},
            "documents: owner is 'nobody-here', whom this host does not know",
        ),
        (
            {"documents": [{"component": name, "folder": "d"} for name in "ab"]},
            "documents of two components go to ",
        ),
        (
            {"documents": [{"component": f"c{n}", "folder": f"d{n}"} for n in range(65)]},
            "documents of 65 components where 64 are allowed; keep those that this host needs",
        ),
        ({"node": "other.llnl.gov"}, f"is the certificate of {NODE}, and this node is other"),
    ],
)
def test_a_setting_that_must_be_mended_is_one_sentence_and_exit_code_2(
    run: Run, settings: dict[str, Any], tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    code, stderr = run(settings | more)
    assert code == 2
    assert said in stderr
    assert len(stderr.strip().splitlines()) == 1
    assert "Traceback" not in stderr
    assert not (tmp_path / "state").exists()


def test_a_settings_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the file is not there"):
        load(tmp_path / "member.toml", MemberSettings)


def test_a_certificate_of_another_authority_is_refused_before_connecting(
    run: Run, settings: dict[str, Any], tmp_path: Path
) -> None:
    other = Authority.create(tmp_path / "other").issue(NODE, tmp_path)
    mixed = as_table(other) | {"ca": settings["tls"]["ca"]}
    code, stderr = run(settings | {"tls": mixed})
    assert code == 2
    assert "ca.crt: is not of the authority that issued " in stderr


def test_an_expired_certificate_is_said_before_connecting(
    run: Run, settings: dict[str, Any], authority: Authority, tmp_path: Path
) -> None:
    day = timedelta(days=1)
    expired = authority.issue(NODE, tmp_path, starts=datetime.now(UTC) - 2 * day, life=day)
    code, stderr = run(settings | {"tls": as_table(expired)})
    assert code == 2
    assert "certificate has expired; have it renewed" in stderr


def test_a_broker_that_is_away_is_waited_for_until_the_agent_is_told_to_stop(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    file, state = tmp_path / "member.toml", tmp_path / "state" / "status.json"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        where = {"host": "localhost", "address": "127.0.0.1", "port": nobody.getsockname()[1]}
        file.write_bytes(tomli_w.dumps(settings | {"supernodes": [at(where)]}).encode())
        command = [sys.executable, "-m", "nm_agents.main", "member", "run", "--config", str(file)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as agent:
            wait_for(lambda: state.exists() and flow(state) == "down")
            agent.terminate()
            assert agent.wait(30) == 0
    assert not json.loads(state.read_text())["running"]


def flow(state: Path) -> str:
    return str(json.loads(state.read_text())["broker"]["flow"])


def wait_for(condition: Callable[[], bool], limit: float = 30.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_one_agent_holds_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with own_folder(folder):
        another = pytest.raises(
            ConfigError, match="another program of this kind runs on this folder"
        )
        with another, own_folder(folder):
            pass
    with own_folder(folder):
        pass


def test_a_folder_is_tried_before_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="is a file, not a folder"):
        writable(tmp_path / "file")
    writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_the_example_shows_settings_that_are_taken() -> None:
    example = Path(__file__).parents[3] / "agents" / "configs" / "member.toml"
    settings = load(example, MemberSettings)
    check_settings(settings, example)
    assert settings.tls.ca == example.parent / "ca.crt"
