"""The private broker: who is let in, how it starts and ends, what it leaves behind."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pika
import psutil
import pytest
from pika.exceptions import AMQPConnectionError, ProbableAuthenticationError

from nm_broker.pki import Authority
from nm_broker.private import PrivateBroker
from nm_broker.program import Unpacked
from nm_broker.succession import FORMER, succeed
from nm_broker.testing.sandbox import Sandbox
from nm_bus.errors import BrokerStartError, RefusedError, TimedOutError
from nm_bus.grants import grant
from nm_bus.identity.role import Role
from nm_bus.settings import Tls
from nm_bus.topology import Queue, Topology
from nm_bus.transport.tls import client_context

pytestmark = pytest.mark.broker

Eventually = Callable[[Callable[[], bool]], None]
LeftRunning = Callable[[PrivateBroker], list[int]]

USER = "sn9.example.org"
DURABLE = Topology(queues=(Queue("kept", "quorum"),))


def send(broker: Sandbox, tls: Tls, queue: str) -> None:
    with pika.BlockingConnection(broker.parameters(tls)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        own = pika.BasicProperties(user_id=USER, delivery_mode=2)
        channel.basic_publish("", queue, b"x", own, mandatory=True)


def on_disk(broker: Sandbox, queue: bytes) -> bool:
    """RabbitMQ writes down a new quorum queue half a second late; killed before, it loses it."""
    directories = broker.broker.settings.folder.rglob("names.dets")
    return any(queue in directory.read_bytes() for directory in directories)


# --- who is let in ---


def test_a_user_logs_in_by_the_first_dns_name_of_its_certificate(broker: Sandbox) -> None:
    tls = broker.grant(Role.SUPERNODE, USER)
    broker.declare(DURABLE)
    send(broker, tls, "kept")


def test_a_certificate_of_another_authority_is_refused(broker: Sandbox) -> None:
    own = broker.grant(Role.SUPERNODE, USER)
    stranger = Authority.create(broker.folder / "stranger").issue(USER, broker.folder / "stranger")
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(broker.parameters(stranger, ca=own.ca))


def test_a_certificate_without_a_user_is_refused(broker: Sandbox) -> None:
    nobody = broker.issue("nobody.example.org")
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(broker.parameters(nobody))


def test_a_password_is_no_way_in_even_beside_a_certificate(broker: Sandbox) -> None:
    parameters = broker.parameters(broker.grant(Role.SUPERNODE, USER))
    parameters.credentials = pika.PlainCredentials("_nm-bus", broker.broker.password)
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(parameters)


@pytest.mark.parametrize(
    ("suites", "taken"),
    [
        ("ECDHE+AESGCM", True),
        ("ECDHE-ECDSA-AES128-SHA", False),
        ("ECDHE-ECDSA-AES256-SHA384", False),
    ],
)
def test_tls_1_2_is_spoken_with_authenticated_encryption_alone(
    broker: Sandbox, suites: str, taken: bool
) -> None:
    tls = broker.grant(Role.SUPERNODE, USER)
    context = ssl.create_default_context(cafile=tls.ca)
    context.load_cert_chain(tls.certificate, tls.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suites)
    own = broker.broker.settings
    with socket.create_connection((own.address, own.amqps_port), 30.0) as plain:
        if not taken:
            with pytest.raises(ssl.SSLError, match=r"HANDSHAKE|INSUFFICIENT"):
                context.wrap_socket(plain, server_hostname=broker.name)
            return
        with context.wrap_socket(plain, server_hostname=broker.name) as secured:
            assert secured.version() == "TLSv1.2"


def test_tls_1_3_is_spoken(broker: Sandbox) -> None:
    tls = broker.grant(Role.SUPERNODE, USER)
    own = broker.broker.settings
    with (
        socket.create_connection((own.address, own.amqps_port), 30.0) as plain,
        client_context(tls).wrap_socket(plain, server_hostname=broker.name) as secured,
    ):
        assert secured.version() == "TLSv1.3"


def test_the_management_user_of_an_earlier_version_makes_way(private: PrivateBroker) -> None:
    running = private.start()
    try:
        api = running.api
        former = replace(api, user=FORMER)
        api.put({"password": api.password, "tags": "administrator"}, "users", FORMER)
        former.delete_user(api.user)
        with pytest.raises(RefusedError, match="broker setup"):
            api.users()
        succeed(api)
        succeed(api)
        assert api.users() == [api.user]
        assert api.rights(api.user, f"nm.{private.project}") is not None
        with pytest.raises(RefusedError, match=f"refuses the user {api.user}"):
            succeed(replace(api, password="another"))
    finally:
        running.kill()


def test_without_a_certificate_there_is_no_way_in(broker: Sandbox) -> None:
    parameters = broker.parameters(broker.grant(Role.SUPERNODE, USER))
    bare = ssl.create_default_context(cafile=broker.authority.folder / "ca.crt")
    parameters.ssl_options = pika.SSLOptions(bare, broker.name)
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(parameters)


def test_it_listens_on_its_own_loopback_address_alone(broker: Sandbox) -> None:
    own = broker.broker.settings
    listening = {
        (c.laddr.ip, c.laddr.port)
        for c in psutil.Process(broker.broker.pid).net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    }
    assert listening == {
        (own.address, own.amqps_port),
        (own.address, own.management_port),
        ("127.0.0.1", own.dist_port),
    }


# --- side by side, paused, killed, alarmed ---


def test_brokers_side_by_side_share_their_ports_and_nothing_else(brokers: list[Sandbox]) -> None:
    assert len({one.broker.settings.address for one in brokers}) == 3
    assert {one.broker.settings.amqps_port for one in brokers} == {5671}
    tls = brokers[0].grant(Role.SUPERNODE, USER)
    brokers[0].declare(DURABLE)
    assert USER not in brokers[1].broker.api.users()
    assert "kept" not in brokers[1].broker.api.queues(brokers[1].vhost)
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(brokers[1].parameters(tls))


def test_a_paused_broker_is_silent_and_goes_on_where_it_was(broker: Sandbox) -> None:
    api = replace(broker.broker.api, timeout=1.0)
    broker.broker.pause()
    with pytest.raises(TimedOutError, match="did not answer within 1 s"):
        api.overview()
    assert broker.broker.is_running
    broker.broker.resume()
    assert broker.broker.api.overview().node == "nm@localhost"


def test_a_killed_broker_keeps_what_it_confirmed(broker: Sandbox, eventually: Eventually) -> None:
    tls = broker.grant(Role.SUPERNODE, USER)
    own = "kept-by-a-killed-broker"  # others have the name `kept` written down already
    broker.declare(Topology(queues=(Queue(own, "quorum"),)))
    eventually(lambda: on_disk(broker, own.encode()))
    send(broker, tls, own)
    broker.broker.kill()
    assert not broker.broker.is_running
    broker.revive()
    eventually(lambda: broker.broker.api.depths(broker.vhost).get(own) == 1)


def test_a_memory_alarm_blocks_and_passes(broker: Sandbox, eventually: Eventually) -> None:
    api = broker.broker.api
    with broker.broker.memory_alarm():
        eventually(lambda: api.alarms() == ["memory"])
        assert "alarm" in api.unhealthy("alarms")
    eventually(lambda: api.alarms() == [])
    assert api.unhealthy("alarms") == ""


# --- starting and ending ---


def test_started_again_it_has_its_queues_but_not_its_revoked_users(
    private: PrivateBroker, left_running: LeftRunning
) -> None:
    first = private.start()
    for user in (USER, "revoked.example.org"):
        first.api.apply(grant(Role.SUPERNODE, user), "nm.test")
    first.api.declare(DURABLE, "nm.test")
    first.api.delete_user("revoked.example.org")
    first.stop()
    assert "SIGTERM received" in private.log.read_text()
    assert left_running(private) == []

    second = private.start()
    assert sorted(second.api.users()) == ["_nm-bus", USER]
    assert second.api.vhosts() == ["nm.test"]
    assert second.api.rights(USER, "nm.test") == grant(Role.SUPERNODE, USER)
    assert "kept" in second.api.queues("nm.test")
    second.kill()
    assert left_running(private) == []


def test_it_needs_no_epmd_and_leaves_none(
    private: PrivateBroker, left_running: LeftRunning
) -> None:
    running = private.start()
    running.ctl("eval", "rabbit_nodes:ensure_epmd().")
    mine = [psutil.Process(pid).name() for pid in left_running(private)]
    assert "beam.smp" in mine
    assert "epmd" not in mine
    running.kill()
    assert left_running(private) == []


def test_it_writes_into_its_folder_alone(broker: Sandbox) -> None:
    folder = str(broker.broker.settings.folder)
    writing = [
        file.path
        for file in psutil.Process(broker.broker.pid).open_files()
        if set(file.mode) & set("wa+")
    ]
    assert writing
    assert [path for path in writing if not path.startswith(folder)] == []
    assert psutil.Process(broker.broker.pid).cwd() == folder


def test_its_secrets_are_its_owners_alone(broker: Sandbox) -> None:
    own = broker.broker.settings
    secret = [own.password_file, own.machine.cookie, own.tls.key, own.folder / "definitions.json"]
    assert [oct(path.stat().st_mode & 0o077) for path in secret] == ["0o0"] * 4


STARTS_AND_SAYS_SO = """
import sys, time
from pathlib import Path
from nm_broker.private import PrivateBroker
from nm_broker.program import Installed, Unpacked
from nm_bus.settings import Tls
folder, name, ca, crt, key, address, port, tree = sys.argv[1:]
program = Unpacked(Path(tree)) if tree else Installed()
tls = Tls(Path(ca), Path(crt), Path(key))
broker = PrivateBroker(Path(folder), name, "test", tls, address, int(port), program=program)
running = broker.start()
print(running.pid, flush=True)
time.sleep(600)
"""


def test_it_dies_with_a_parent_that_is_killed(
    private: PrivateBroker, left_running: LeftRunning, eventually: Eventually
) -> None:
    tls, program = private.tls, private.program
    tree = program.root if isinstance(program, Unpacked) else ""
    files = (tls.ca, tls.certificate, tls.key)
    own = (private.folder, private.name, *files, private.address, private.dist_port, tree)
    command = [sys.executable, "-c", STARTS_AND_SAYS_SO, *map(str, own)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert pid in left_running(private)
        os.kill(parent.pid, signal.SIGKILL)
    eventually(lambda: left_running(private) == [])


# --- what keeps it from starting ---


def refused_start(private: PrivateBroker, left_running: LeftRunning, timeout: float = 90.0) -> str:
    with pytest.raises(BrokerStartError) as refused:
        private.start(timeout)
    assert left_running(private) == []
    return str(refused.value)


@pytest.mark.parametrize("which", ["amqps_port", "management_port", "dist_port"])
def test_a_port_in_use_is_named(
    private: PrivateBroker, left_running: LeftRunning, which: str
) -> None:
    address = "127.0.0.1" if which == "dist_port" else private.address
    port = getattr(private, which)
    with socket.create_server((address, port)):
        assert f"{address}:{port}" in refused_start(private, left_running)


def test_a_missing_certificate_is_named(private: PrivateBroker, left_running: LeftRunning) -> None:
    missing = private.tls.certificate.with_name("nowhere.crt")
    wrong = replace(private, tls=Tls(private.tls.ca, missing, private.tls.key))
    assert str(missing) in refused_start(wrong, left_running)


def test_a_certificate_for_another_name_is_told(
    private: PrivateBroker, left_running: LeftRunning
) -> None:
    wrong = replace(private, name="other.example.org")
    assert "not valid for 'other.example.org'" in refused_start(wrong, left_running)


def test_a_configuration_that_it_refuses_is_quoted(
    private: PrivateBroker, left_running: LeftRunning
) -> None:
    (private.folder / "conf.d").mkdir(parents=True)
    (private.folder / "conf.d" / "10-wrong.conf").write_text("no.such.key = 1\n")
    assert "no.such.key" in refused_start(private, left_running)


def test_a_start_that_takes_too_long_is_given_up(
    private: PrivateBroker, left_running: LeftRunning
) -> None:
    assert "not ready in time" in refused_start(private, left_running, timeout=0.5)


def test_a_folder_that_cannot_be_written_is_named(
    private: PrivateBroker, left_running: LeftRunning, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    wrong = replace(private, folder=tmp_path / "file" / "broker")
    assert str(tmp_path / "file") in refused_start(wrong, left_running)
