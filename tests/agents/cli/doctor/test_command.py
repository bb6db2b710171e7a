import dataclasses
import json
import os
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from nm_agents.cli.doctor.answers import (
    broker_findings,
    clock_difference,
    examine_answers,
    judge,
)
from nm_agents.cli.doctor.broker import machine_findings, queue_findings, shovel_findings
from nm_agents.cli.doctor.certificates import examine_certificates
from nm_agents.cli.doctor.command import admission, examine, read_settings
from nm_agents.cli.doctor.finding import Finding, Level, worst
from nm_agents.cli.doctor.host import examine_folder, open_files, room
from nm_agents.cli.doctor.member import examine_member
from nm_agents.cli.doctor.network import examine_port, examine_way
from nm_agents.cli.doctor.user import as_owner
from nm_agents.folder import user_name
from nm_broker.answers import NodeAnswer, Shovel
from nm_broker.pki import Authority
from nm_bus.errors import ConnectionLostError, NmBusError, RefusedError
from nm_bus.messages import Answer, Health
from nm_bus.settings import (
    AdministratorSettings,
    Broker,
    CheckSettings,
    DocumentsSettings,
    DropInSettings,
    MemberSettings,
    MetricsSettings,
    Peer,
    SupernodeSettings,
    Tls,
)
from nm_bus.transport.diagnosis import not_admitted

from ...test_folder import NOBODY, as_ordinary_user
from ..conftest import RUNNING, FakeBus, Run, client_of

SN1, ME = "sn1.llnl.gov", "n1.llnl.gov"


def levels(findings: Iterable[Finding]) -> dict[str, Level]:
    return {finding.about: finding.level for finding in findings}


def bad(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level is not Level.OK]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def mine(authority: Authority, tmp_path: Path) -> Tls:
    return authority.issue(ME, tmp_path)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that another user reaches, unlike those below pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def port(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A TLS server with the certificate of sn1 and of nobody else, which shakes hands only."""
    tls = authority.issue(SN1, tmp_path_factory.mktemp("sn1"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=shake_hands, args=(listening, context))
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


def shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        connection.settimeout(10)
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()


def now() -> datetime:
    return datetime.now(UTC)


# --- files ---------------------------------------------------------------------------------


def test_good_certificates_are_said_to_be_good(mine: Tls) -> None:
    assert bad(examine_certificates(mine, ME, now())) == []


def test_a_certificate_of_another_node_fails(mine: Tls) -> None:
    found = bad(examine_certificates(mine, "other.llnl.gov", now()))
    assert [f.about for f in found] == ["identity"]
    assert "this node is other.llnl.gov" in found[0].text


def test_the_administrator_is_whoever_the_certificate_names(mine: Tls) -> None:
    assert bad(examine_certificates(mine, "", now())) == []


@pytest.mark.parametrize(
    ("later", "level"), [(80, Level.WARN), (91, Level.FAIL), (-2, Level.FAIL), (0, Level.OK)]
)
def test_a_certificate_s_life_is_told(mine: Tls, later: int, level: Level) -> None:
    found = levels(examine_certificates(mine, ME, now() + timedelta(days=later)))
    assert found["certificate"] is level


def test_a_key_that_others_may_read_is_a_warning(mine: Tls) -> None:
    mine.key.chmod(0o644)
    found = bad(examine_certificates(mine, ME, now()))
    assert [f.level for f in found] == [Level.WARN]
    assert found[0].fix == f"chmod 600 {mine.key}"


def test_the_key_of_another_certificate_fails(
    mine: Tls, authority: Authority, tmp_path: Path
) -> None:
    other = authority.issue("other.llnl.gov", tmp_path)
    found = bad(examine_certificates(msgspec.structs.replace(mine, key=other.key), ME, now()))
    assert "is not the key of" in found[0].text


def test_another_authority_s_certificate_fails(mine: Tls, tmp_path: Path) -> None:
    stranger = Authority.create(tmp_path / "stranger")
    wrong = msgspec.structs.replace(mine, ca=stranger.folder / "ca.crt")
    assert levels(examine_certificates(wrong, ME, now()))["identity"] is Level.FAIL


def test_a_missing_certificate_fails_and_ends_it(mine: Tls) -> None:
    mine.certificate.unlink()
    found = list(examine_certificates(mine, ME, now()))
    assert [f.level for f in found] == [Level.FAIL]


def test_a_certificate_of_another_authority_blames_the_authority_s_file(
    mine: Tls, tmp_path: Path
) -> None:
    stranger = Authority.create(tmp_path / "stranger")
    wrong = msgspec.structs.replace(mine, ca=stranger.folder / "ca.crt")
    (found,) = bad(examine_certificates(wrong, ME, now()))
    assert found.text.endswith(f"is not of the authority that issued {mine.certificate}")
    assert "renew" not in found.fix


@pytest.mark.parametrize("which", ["certificate", "key", "ca"])
def test_a_file_that_may_not_be_read_is_to_be_given_to_the_user(which: str, shared: Path) -> None:
    tls = Authority.create(shared).issue(ME, shared)
    path: Path = getattr(tls, which)
    path.chmod(0o000)
    with as_ordinary_user(shared):
        (found,) = bad(examine_certificates(tls, ME, now()))
        assert f"{path}: cannot be read" in found.text
        assert found.fix.startswith(f"chown {user_name(os.geteuid())} {path}")


# --- this host -----------------------------------------------------------------------------


def member(mine: Tls, **more: object) -> MemberSettings:
    made = MemberSettings("demo", ME, Path("/none"), (Peer(SN1, Broker(SN1)),), mine)
    return msgspec.structs.replace(made, **more)


def of(settings: MemberSettings, about: str, *, run: bool = False) -> list[Finding]:
    return [f for f in examine_member(settings, run=run) if f.about.startswith(about)]


def test_a_folder_is_tried_by_writing_in_it(shared: Path) -> None:
    shared.chmod(0o500)
    with as_ordinary_user(shared):
        (found,) = examine_folder(shared, "folder")
    shared.chmod(0o700)
    assert found.level is Level.FAIL
    assert "cannot be written" in found.text


def test_a_file_of_root_in_the_folder_is_a_failure(shared: Path) -> None:
    (shared / "ledger.db").touch(mode=0o000)
    with as_ordinary_user(shared):
        (found,) = examine_folder(shared, "folder", ours=True)
    assert found.level is Level.FAIL
    assert found.fix.startswith("chown -R")


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    list(examine_folder(tmp_path, "folder"))
    list(examine_folder(tmp_path / "not" / "there", "folder"))
    assert list(tmp_path.iterdir()) == []


def test_a_drop_in_folder_that_cannot_be_made_is_a_failure(mine: Tls, shared: Path) -> None:
    shared.chmod(0o500)
    settings = member(mine, drop_in=DropInSettings(shared / "spool"))
    with as_ordinary_user(shared):
        (found,) = of(settings, "drop-in")
    shared.chmod(0o700)
    assert found.level is Level.FAIL
    assert "is not there" in found.text
    assert found.fix.startswith("install -d -o ")


def test_a_mount_that_is_none_is_a_warning(mine: Tls, tmp_path: Path) -> None:
    settings = member(mine, metrics=MetricsSettings(mounts=("/", str(tmp_path))))
    texts = [f.text for f in of(settings, "measuring") if f.level is Level.WARN]
    assert any("nothing is mounted there" in text for text in texts)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/no/such/plugin",), "no such program"),
        (("/etc/passwd",), "may not be run"),
        (("true",), ""),
    ],
)
def test_a_check_s_program_is_looked_for(mine: Tls, command: tuple[str, ...], said: str) -> None:
    (found,) = of(member(mine, checks=(CheckSettings("c", command),)), "check c")
    assert (found.level is Level.OK) is (said == "")
    assert said in found.text


@pytest.mark.parametrize(
    ("code", "level", "said"),
    [
        ("print('WARNING hot'); raise SystemExit(1)", Level.OK, "exits with 1: WARNING hot"),
        ("raise ValueError('broken')", Level.FAIL, "ValueError: broken"),
        ("import sys; print('x'); sys.exit(9)", Level.FAIL, "exit code 9"),
        ("import time; time.sleep(60)", Level.FAIL, "did not end within 0.5 s"),
    ],
)
def test_checks_are_run_when_that_is_asked(mine: Tls, code: str, level: Level, said: str) -> None:
    timeout = 0.5 if "sleep" in code else 30.0
    check = CheckSettings("c", (sys.executable, "-c", code), timeout=timeout)
    assert len(of(member(mine, checks=(check,)), "check c")) == 1
    found = of(member(mine, checks=(check,)), "check c", run=True)[-1]
    assert found.level is level
    assert said in found.text


def test_a_document_s_folder_owner_and_hook_are_looked_at(mine: Tls, tmp_path: Path) -> None:
    documents = DocumentsSettings(
        "thredds", tmp_path / "file" / "below", owner="nobody-has-this-name", hook=("/no/hook",)
    )
    (tmp_path / "file").touch()
    found = of(member(mine, documents=(documents,)), "documents of thredds")
    texts = [f.text for f in found if f.level is Level.FAIL]
    assert len(texts) == 3
    assert any("no user nobody-has-this-name" in text for text in texts)
    assert any("/no/hook: no such program" in text for text in texts)


def test_a_port_that_another_program_holds_is_told_apart_from_one_where_nobody_listens() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        taken = holder.getsockname()[1]
        (found,) = examine_port(Broker(SN1, taken, "127.0.0.1"), 10.0)
        assert "cannot be listened on" in found.text
    (found,) = examine_port(Broker(SN1, taken, "127.0.0.1"), 10.0)
    assert "nothing listens there" in found.text


def test_a_node_s_exit_code_is_about_its_own_host(
    run: Run, mine: Tls, tmp_path: Path, port: int
) -> None:
    words = ("doctor", "--config", str(write(tmp_path, mine, MEMBER % port)))
    said = run(*words)
    assert said.exit_code in (0, 1), "the fake federation has a blocked broker: not its fault"
    assert "✖ fail  broker" in said.stdout.partition("The federation, ")[2]
    assert run(*words, "--federation").exit_code == 2
    told = json.loads(run(*words, "--json").stdout)
    assert {f["about"] for f in told if f.get("federation")} >= {"broker"}


# --- the way -------------------------------------------------------------------------------


def way(port: int, tls: Tls, host: str = SN1, address: str = "127.0.0.1") -> list[Finding]:
    return list(examine_way(Broker(host, port, address), tls, now(), 10.0))


def test_an_open_way_is_followed_to_its_end(port: int, mine: Tls) -> None:
    assert levels(way(port, mine)) == dict.fromkeys(("name", "port", "tls"), Level.OK)


def test_a_broker_with_another_name_is_not_trusted(port: int, mine: Tls) -> None:
    found = bad(way(port, mine, host="sn2.llnl.gov"))
    assert [f.about for f in found] == ["tls"]
    assert "is not who it should be" in found[0].text


def test_a_broker_of_another_authority_is_not_trusted(port: int, tmp_path: Path) -> None:
    strange = Authority.create(tmp_path).issue(ME, tmp_path)
    assert levels(way(port, strange))["tls"] is Level.FAIL


def test_a_closed_port_is_told(mine: Tls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = listening.getsockname()[1]
    found = way(free, mine)
    assert levels(found) == {"name": Level.OK, "port": Level.FAIL}


def test_a_name_that_does_not_resolve_is_told(mine: Tls) -> None:
    found = way(1, mine, address="no.such.host.invalid")
    assert levels(found) == {"name": Level.FAIL}


# --- answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "level", "word"),
    [(0.1, Level.OK, "behind"), (-5.0, Level.WARN, "ahead"), (100.0, Level.FAIL, "behind")],
)
def test_the_clocks_are_compared(seconds: float, level: Level, word: str) -> None:
    found = clock_difference(seconds, SN1)
    assert found.level is level
    assert word in found.text


def test_a_supernode_that_answers_is_compared_by_the_middle_of_the_question(bus: FakeBus) -> None:
    times = iter([100.0, 110.0])
    bus.answers = lambda message: Answer("r", True, data={"now": 105.5})
    found = list(examine_answers(client_of(bus), SN1, lambda: next(times), "admit"))
    assert bad(found) == []
    assert found[1].text.startswith("this clock is 500 ms behind")


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (RefusedError(f"sn1 {not_admitted(ME)}"), "broker admit member"),
        (RefusedError("sn1 serves no project other"), "`project`"),
        (ConnectionLostError("gone"), "above"),
    ],
)
def test_a_failed_login_says_what_to_do(bus: FakeBus, error: NmBusError, fix: str) -> None:
    def refuse(message: object) -> Answer:
        raise error

    bus.answers = refuse
    found = list(examine_answers(client_of(bus), SN1, lambda: 0.0, "broker admit member"))
    assert [(f.about, f.level) for f in found] == [("login", Level.FAIL)]
    assert fix in found[0].fix


def test_a_login_is_made_where_the_program_asks(mine: Tls) -> None:
    assert f"broker admit member {ME}" in admission(member(mine))


def test_troubles_of_the_federation_are_told_one_by_one(bus: FakeBus) -> None:
    found = bad(judge(client_of(bus).status()))
    told = {(f.about, f.level) for f in found}
    assert ("broker", Level.FAIL) in told
    assert ("links", Level.WARN) in told
    assert ("supernode", Level.WARN) in told
    assert ("quarantine", Level.WARN) in told
    assert all(f.fix for f in found)


def test_refused_messages_that_are_lost_are_a_warning() -> None:
    lost = list(broker_findings("sn1", msgspec.structs.replace(RUNNING, quarantined=0, dropped=2)))
    (found,) = (each for each in lost if each.about == "quarantine")
    assert found.level is Level.WARN
    assert found.text == "sn1: 2 refused messages could not be kept"


def test_the_links_of_a_lost_supernode_are_one_finding(bus: FakeBus) -> None:
    picture = client_of(bus).status()
    red = next(link for link in picture.links if link.state != "running")
    lost = tuple(
        msgspec.structs.replace(view, health=Health.UNKNOWN)
        if view.node == red.destination
        else view
        for view in picture.supernodes
    )
    found = bad(judge(dataclasses.replace(picture, links=(red,) * 8, supernodes=lost)))
    links = [f.text for f in found if f.about == "links"]
    assert links == [f"8 links of {red.destination} bring nothing, since it does not answer"]


# --- the broker and the host ---------------------------------------------------------------


NODE = NodeAnswer(
    name="rabbit@sn1", mem_used=50, mem_limit=100, fd_used=90, fd_total=100,
    disk_free=10**9, disk_free_limit=5 * 10**7, mem_alarm=False,
)  # fmt: skip


def test_a_limit_that_comes_near_is_a_warning() -> None:
    found = bad(machine_findings(SN1, NODE))
    assert [f.text for f in found] == [f"{SN1}: 90 of 100 files"]


def test_an_alarm_is_a_failure() -> None:
    found = bad(machine_findings(SN1, replace(NODE, mem_alarm=True)))
    assert "memory alarm blocks every publisher" in found[0].text


def test_a_disk_near_its_alarm_is_a_warning() -> None:
    assert "disk" in levels(bad(machine_findings(SN1, replace(NODE, disk_free=10**8))))


def test_a_queue_that_waits_for_somebody_away_is_no_backlog() -> None:
    assert bad(queue_findings(SN1, {"alerts.me": 9_000, "heartbeat.0": 3})) == []
    assert [f.about for f in bad(queue_findings(SN1, {"heartbeat.0": 5_000}))] == ["queue"]
    assert [f.about for f in bad(queue_findings(SN1, {"dead": 1}))] == ["quarantine"]


def test_missing_and_ended_shovels_are_told(mine: Tls) -> None:
    peers = (Peer("sn2.dkrz.de", Broker("sn2.dkrz.de")),)
    settings = SupernodeSettings("demo", SN1, Path(), Broker(SN1), mine, peers=peers)
    up = Shovel(name="control", state="running")
    ended = Shovel(name="control", state="terminated", reason="needed a restart")
    assert bad(shovel_findings(settings, {"control": up, "bulk": up})) == []
    assert len(bad(shovel_findings(settings, {"control": ended, "bulk": up}))) == 1
    assert len(bad(shovel_findings(settings, {"control": ended}))) == 2


def test_limits_of_the_host_are_judged() -> None:
    assert open_files(1024, 4096).level is Level.WARN
    assert open_files(-1, 4096).level is Level.OK
    assert room(Path(), 10**6).level is Level.FAIL
    assert room(Path(), 10**8).level is Level.WARN
    assert room(Path(), 10**12).level is Level.OK


def test_the_worst_finding_counts() -> None:
    assert worst([]) is Level.OK
    found = [Finding(level, "x", "") for level in (Level.WARN, Level.FAIL, Level.OK)]
    assert worst(found) is Level.FAIL


# --- the whole -----------------------------------------------------------------------------


def write(folder: Path, tls: Tls, text: str) -> Path:
    file = folder / "nm.toml"
    table = f'ca = "{tls.ca}"\ncertificate = "{tls.certificate}"\nkey = "{tls.key}"\n'
    file.write_text(f'project = "demo"\nfolder = "state"\n{text}\n[tls]\n{table}')
    return file


ADMINISTRATOR = """
[[supernodes]]
node = "sn1.llnl.gov"
broker = { host = "sn1.llnl.gov", port = %d, address = "127.0.0.1" }
"""
MEMBER = """
node = "n1.llnl.gov"
[[supernodes]]
node = "sn1.llnl.gov"
broker = { host = "sn1.llnl.gov", port = %d, address = "127.0.0.1" }
"""
SUPERNODE = """
node = "n1.llnl.gov"
broker = { host = "sn1.llnl.gov", port = %d, address = "127.0.0.1" }
"""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ADMINISTRATOR, AdministratorSettings),
        (MEMBER, MemberSettings),
        (SUPERNODE, SupernodeSettings),
    ],
)
def test_the_kind_of_settings_is_seen(text: str, kind: type, mine: Tls, tmp_path: Path) -> None:
    assert isinstance(read_settings(write(tmp_path, mine, text % 1)), kind)


@pytest.mark.parametrize(
    "text", [ADMINISTRATOR, MEMBER, SUPERNODE], ids=["administrator", "member", "supernode"]
)
def test_the_whole_way_is_examined(
    text: str, port: int, mine: Tls, tmp_path: Path, bus: FakeBus
) -> None:
    found = list(examine(write(tmp_path, mine, text % port), bus, 10.0))
    abouts = [f.about for f in found]
    who = [] if text is ADMINISTRATOR else ["user"]
    assert abouts[:5] == ["settings", *who, "certificate", "authority", "key", "identity"][:5]
    assert {"name", "port", "tls", "limits", "folder", "broker"} <= set(abouts)
    assert ("management" in abouts) is (text is SUPERNODE)


def test_a_broken_settings_file_is_one_failure(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('project = "demo"\nsupernodes = 3\nnonsense = 1\n')
    said = run("doctor", "--config", str(file), "--json")
    found = json.loads(said.stdout)
    assert said.exit_code == 2
    assert [f["about"] for f in found] == ["settings"]
    assert found[0]["fix"]


def test_findings_are_lines_in_a_pipe(run: Run, mine: Tls, tmp_path: Path, port: int) -> None:
    said = run("doctor", "--config", str(write(tmp_path, mine, ADMINISTRATOR % port)))
    assert said.exit_code == 2, "the fake federation has a blocked broker"
    assert all(line.split()[1] in ("ok", "warn", "fail") for line in said.stdout.splitlines())
    assert "✖ fail  broker" in said.stdout


def test_no_connection_is_left_open(mine: Tls, port: int) -> None:
    before = open_now()
    for _ in range(20):
        way(port, mine)
    assert open_now() <= before + 1


def open_now() -> int:
    """Files and sockets that this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_root_looks_as_the_user_whose_folder_it_is(shared: Path) -> None:
    before = (os.geteuid(), os.getegid(), os.getgroups())
    if before[0] == 0:
        os.chown(shared, NOBODY, NOBODY)
    with as_owner(shared / "state") as found:
        assert os.geteuid() == (NOBODY if before[0] == 0 else before[0])
        (shared / "made").touch()
        assert user_name(os.geteuid()) in found.text
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    assert (shared / "made").stat().st_uid == shared.stat().st_uid
