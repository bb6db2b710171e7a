import base64
import hashlib
import json
from pathlib import Path

from nm_broker.configuration import definitions, enabled_plugins, password_hash, rabbitmq_conf
from nm_bus.settings import Tls

TLS = Tls(Path("/c/ca.crt"), Path("/c/sn1.crt"), Path("/c/sn1.key"))


def conf() -> dict[str, str]:
    text = rabbitmq_conf(
        name="sn1.example.org",
        project="cmip6",
        address="127.1.2.3",
        amqps_port=5671,
        management_port=15672,
        tls=TLS,
    )
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {key.strip(): value.strip() for key, value in (line.split("=", 1) for line in lines)}


def test_one_port_is_open_and_only_certificates_open_it() -> None:
    known = conf()
    listeners = {key: value for key, value in known.items() if key.startswith("listeners.")}
    assert listeners == {"listeners.tcp": "none", "listeners.ssl.1": "127.1.2.3:5671"}
    assert known["ssl_options.fail_if_no_peer_cert"] == "true"
    mechanisms = {key: value for key, value in known.items() if key.startswith("auth_mech")}
    assert mechanisms == {"auth_mechanisms.1": "EXTERNAL"}


def test_no_suite_is_offered_but_those_of_authenticated_encryption() -> None:
    suites = [value for key, value in conf().items() if key.startswith("ssl_options.ciphers.")]
    assert len(suites) == len(set(suites)) > 0
    assert all("GCM" in suite or "POLY1305" in suite for suite in suites)


def test_the_management_api_listens_beside_it() -> None:
    assert conf()["management.tcp.ip"] == "127.1.2.3"


def test_the_largest_message_is_the_links() -> None:
    assert conf()["max_message_size"] == str(4 * 1024 * 1024)


def test_only_the_management_user_is_made_at_boot() -> None:
    known = json.loads(definitions("cmip6", "secret"))
    assert [user["name"] for user in known["users"]] == ["_nm-bus"]
    assert known["vhosts"] == [{"name": "nm.cmip6"}]
    assert "secret" not in json.dumps(known)


def test_a_password_is_salted_and_hashed() -> None:
    decoded = base64.b64decode(password_hash("secret", b"salt"))
    assert decoded == b"salt" + hashlib.sha256(b"saltsecret").digest()


def test_plugins_are_an_erlang_list() -> None:
    assert enabled_plugins().startswith("[rabbitmq_management,")
    assert enabled_plugins().endswith("].\n")
