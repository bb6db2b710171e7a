"""What a person can fix is one clear sentence and exit code 2, with no process left behind."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import tomli_w

from nm_agents.folder import own_folder
from nm_broker.pki import Authority
from nm_bus.grants import link_user
from nm_bus.settings import Tls

NODE, PEER = "sn1.example.org", "sn2.example.org"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return authority.issue(NODE, tmp_path_factory.mktemp("sn1"))


def as_table(tls: Tls) -> dict[str, str]:
    return {"ca": str(tls.ca), "certificate": str(tls.certificate), "key": str(tls.key)}


@pytest.fixture
def settings(tls: Tls, tmp_path: Path) -> dict[str, Any]:
    return {
        "project": "test",
        "node": NODE,
        "folder": str(tmp_path / "state"),
        "broker": {"host": "localhost", "port": 1},
        "tls": as_table(tls),
        "network": "local",
    }


Run = Callable[[dict[str, Any]], str]
SUPERNODE = ("supernode",)
INGEST = ("ingest", "--partition", "0")


def run(words: tuple[str, ...], settings: dict[str, Any], folder: Path) -> str:
    """Run a program to its end, which must be that of a mistake; give its one sentence."""
    file = folder / "supernode.toml"
    file.write_bytes(tomli_w.dumps(settings).encode())
    name, *more = words
    command = [sys.executable, "-m", "nm_agents.main", name, "run", "--config", str(file), *more]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert left_running(file) == []
    sentences = [line for line in ended.stderr.splitlines() if line.startswith("nm-bus: ")]
    assert len(sentences) == 1, ended.stderr
    return sentences[0]


def left_running(file: Path) -> list[int]:
    found = psutil.process_iter(["pid", "cmdline"])
    return [each.info["pid"] for each in found if str(file) in (each.info["cmdline"] or ())]


@pytest.fixture(params=[SUPERNODE, INGEST], ids=["supernode", "ingest"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run both programs, which are told the same things by the same file."""
    return lambda settings: run(request.param, settings, tmp_path)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"colour": "red"}, "colour"),
        ({"limits": {"partitions": "two"}}, "limits.partitions"),
        ({"tls": {"ca": "/no/ca", "certificate": "/no/c", "key": "/no/k"}}, "/no/ca: the file"),
        ({"folder": "/proc/nowhere"}, "/proc/nowhere: cannot be made or entered: "),
        ({"node": "other.example.org"}, f"is the certificate of {NODE}, and this node is other"),
    ],
)
def test_a_setting_that_must_be_mended_is_one_sentence_and_nothing_is_begun(
    both: Run, settings: dict[str, Any], tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    assert said in both(settings | more)
    assert not (tmp_path / "state").exists()


def test_a_certificate_that_the_broker_would_refuse_is_said(
    both: Run, settings: dict[str, Any], authority: Authority, tmp_path: Path
) -> None:
    expired = authority.issue(NODE, tmp_path, starts=datetime.now(UTC) - 2 * DAY, life=DAY)
    assert "certificate has expired" in both(settings | {"tls": as_table(expired)})
    other = as_table(Authority.create(tmp_path / "other").issue(NODE, tmp_path))
    mixed = other | {"ca": settings["tls"]["ca"]}
    assert "is not of the authority that issued " in both(settings | {"tls": mixed})


@pytest.mark.parametrize(
    ("management", "said"),
    [
        (
            {"password_file": "/no/password"},
            "/no/password: the password is not there yet: `nm-bus broker run` or ",
        ),
        ({"password_file": "/dev/null"}, "/dev/null: is empty, where one password is expected"),
    ],
)
def test_a_password_that_cannot_be_had_is_said(
    settings: dict[str, Any], tmp_path: Path, management: dict[str, str], said: str
) -> None:
    assert said in run(SUPERNODE, settings | {"management": management}, tmp_path)
    assert not (tmp_path / "state").exists()


def test_peers_need_a_certificate_for_links_and_names_of_their_own(
    settings: dict[str, Any], authority: Authority, tmp_path: Path
) -> None:
    peers = [{"node": PEER, "broker": {"host": PEER}}]
    assert "link_tls is missing" in run(SUPERNODE, settings | {"peers": peers}, tmp_path)
    of_peer = as_table(authority.issue(link_user(PEER), tmp_path))
    wrong = settings | {"peers": peers, "link_tls": of_peer}
    assert f"this node is {link_user(NODE)}" in run(SUPERNODE, wrong, tmp_path)
    own = as_table(authority.issue(link_user(NODE), tmp_path))
    twice = settings | {"peers": [*peers, *peers], "link_tls": own}
    assert f"{PEER} is named twice" in run(SUPERNODE, twice, tmp_path)


def test_a_partition_that_is_not_there_is_said(settings: dict[str, Any], tmp_path: Path) -> None:
    said = run(("ingest", "--partition", "7"), settings, tmp_path)
    assert said == (
        "nm-bus: --partition: there is no partition 7; give 0 to 0, as limits.partitions says"
    )


@pytest.mark.parametrize(
    ("words", "lock"), [(SUPERNODE, "lock"), (INGEST, "ingest.0.lock")], ids=["supernode", "ingest"]
)
def test_a_second_one_on_the_same_folder_is_refused(
    settings: dict[str, Any], tmp_path: Path, words: tuple[str, ...], lock: str
) -> None:
    with own_folder(tmp_path / "state", lock):
        assert "another program of this kind runs on this folder" in run(words, settings, tmp_path)


@contextmanager
def chatting() -> Iterator[int]:
    """A server that is no broker: it says something else than TLS to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with server.accept()[0] as client:
                    client.sendall(b"220 ready for mail\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        with socket.create_connection(server.getsockname()):
            thread.join(10.0)


def test_a_port_that_another_program_serves_is_said(both: Run, settings: dict[str, Any]) -> None:
    with chatting() as port:
        said = both(settings | {"broker": {"host": "localhost", "port": port}})
    assert f"localhost:{port}: does not speak TLS" in said
