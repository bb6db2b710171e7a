"""The files of a broker that runs as a service: what they say, and what they must never say."""

import json
from pathlib import Path

from nm_broker.service import service_files
from nm_bus.settings import Broker, SupernodeSettings, Tls

TLS = Tls(Path("/pki/ca.crt"), Path("/pki/sn.crt"), Path("/pki/sn.key"))
SETTINGS = SupernodeSettings("demo", "sn1.example.org", Path("/x"), Broker("sn1.example.org"), TLS)
FILES = service_files(SETTINGS, TLS, "secret", Path("/etc/rabbitmq"))
CONF = FILES[Path("/etc/rabbitmq/rabbitmq.conf")].splitlines()


def test_one_port_is_open_to_the_world_and_the_management_to_this_machine() -> None:
    assert "listeners.tcp = none" in CONF
    assert "listeners.ssl.1 = 5671" in CONF
    assert "management.tcp.ip = 127.0.0.1" in CONF


def test_only_certificates_let_in() -> None:
    assert "ssl_options.verify = verify_peer" in CONF
    assert "ssl_options.fail_if_no_peer_cert = true" in CONF
    assert [line for line in CONF if line.startswith("auth_mechanisms")] == [
        "auth_mechanisms.1 = EXTERNAL"
    ]


def test_no_key_is_said_twice() -> None:
    keys = [line.split(" = ")[0] for line in CONF if " = " in line and not line.startswith("#")]
    assert len(keys) == len(set(keys))


def test_no_user_that_could_be_revoked_is_read_at_boot() -> None:
    known = json.loads(FILES[Path("/etc/rabbitmq/definitions.json")])
    assert [user["name"] for user in known["users"]] == ["_nm-bus"]
    assert "secret" not in json.dumps(known)
