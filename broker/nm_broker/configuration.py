"""A broker's configuration as text, from data: the same for a private broker and for a service.

Users other than the management user never stand in a file that is read at boot: RabbitMQ would
bring back the revoked ones at each restart.
"""

import base64
import hashlib
import json
import secrets
from importlib import resources
from string import Template

from nm_bus.settings import Tls
from nm_bus.topology import PEER_BYTES, vhost

PLUGINS = (
    "rabbitmq_management",
    "rabbitmq_shovel",
    "rabbitmq_shovel_management",
    "rabbitmq_auth_mechanism_ssl",
    "rabbitmq_event_exchange",
    "rabbitmq_consistent_hash_exchange",
)
LOOPBACK = "127.0.0.1"

MANAGEMENT_USER = "_nm-bus"
"""Begins with an underscore, as no principal's id does, so that `pki issue` refuses it. Who issues
such a certificate by other means makes this user's login: an authority must not."""

CIPHERS = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
    *(f"ECDHE-{key}-AES256-GCM-SHA384" for key in ("ECDSA", "RSA")),
    *(f"ECDHE-{key}-AES128-GCM-SHA256" for key in ("ECDSA", "RSA")),
    *(f"ECDHE-{key}-CHACHA20-POLY1305" for key in ("ECDSA", "RSA")),
)
"""Authenticated encryption alone: those of TLS 1.3, then those of TLS 1.2, which without a list
would offer CBC as well."""


def rabbitmq_conf(
    *,
    name: str,
    project: str,
    address: str,
    amqps_port: int,
    management_port: int,
    tls: Tls,
    management_address: str = "",
) -> str:
    """The text of `rabbitmq.conf`. Without an `address` it listens on every one; the management
    API on the same, or on its own."""
    template = resources.files("nm_broker").joinpath("templates/rabbitmq.conf").read_text()
    return Template(template).substitute(
        name=name,
        project=project,
        vhost=vhost(project),
        listener=f"{address}:{amqps_port}" if address else amqps_port,
        management_address=management_address or address or LOOPBACK,
        management_port=management_port,
        ca=tls.ca,
        certificate=tls.certificate,
        key=tls.key,
        ciphers="\n".join(f"ssl_options.ciphers.{n} = {c}" for n, c in enumerate(CIPHERS, 1)),
        max_message_size=PEER_BYTES,
    )


def enabled_plugins() -> str:
    """The text of `enabled_plugins`, an Erlang term."""
    return f"[{','.join(PLUGINS)}].\n"


def definitions(project: str, password: str) -> str:
    """What a broker knows at its first boot: the project's vhost and the management user."""
    name = vhost(project)
    user = {
        "name": MANAGEMENT_USER,
        "password_hash": password_hash(password, secrets.token_bytes(4)),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "administrator",
    }
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    permission = {"user": MANAGEMENT_USER, "vhost": name, **everything}
    known = {"users": [user], "vhosts": [{"name": name}], "permissions": [permission]}
    return json.dumps(known, indent=1)


def password_hash(password: str, salt: bytes) -> str:
    """RabbitMQ's form of a password: a salt of four bytes, then its sha256 with the password."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
