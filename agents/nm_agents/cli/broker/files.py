"""What an administrator puts in place for a RabbitMQ that runs as the system's service.

The broker gets copies of the supernode's certificate and key of its own, since the two programs
run as different users and a key is for its owner alone.
"""

import secrets
from pathlib import Path

from nm_agents.cli.placing import OPEN, SECRET, Placed
from nm_broker.configuration import MANAGEMENT_USER
from nm_broker.service import FOLDER, service_files
from nm_bus.errors import ConfigError
from nm_bus.settings import SupernodeSettings, Tls

PURPOSE = {
    "rabbitmq.conf": "one open port, certificates only",
    "advanced.config": "nothing that is needed; how to add a revocation list",
    "enabled_plugins": "the plugins that nm-bus needs",
    "definitions.json": "the vhost and the management user, with its password's hash",
    "ca.crt": "the project's authority",
    "server.crt": "the broker's certificate, a copy of the supernode's",
    "server.key": "its key",
}
PASSWORD = "the management user's password, for the supernode"


def broker_files(settings: SupernodeSettings, folder: Path) -> list[Placed]:
    """All files of one broker; raises ConfigError when a certificate or a setting is missing."""
    keep = password_file(settings)
    password = _password(keep)
    server = Tls(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    texts = service_files(settings, server, password, folder)
    new = [] if keep.exists() else [Placed(keep, password.encode(), SECRET)]
    return [
        *(
            Placed(path, text.encode(), SECRET if path.name == "definitions.json" else OPEN)
            for path, text in texts.items()
        ),
        Placed(server.ca, _read(settings.tls.ca)),
        Placed(server.certificate, _read(settings.tls.certificate)),
        Placed(server.key, _read(settings.tls.key), SECRET),
        *new,
    ]


def password_file(settings: SupernodeSettings) -> Path:
    """Where the management user's password is kept; raises ConfigError when nobody said."""
    management = settings.management
    if management.password_file is None:
        fix = 'add `password_file = "management.password"`, a file that nm-bus will write'
        raise ConfigError("management", "no password_file is given", fix)
    if management.user != MANAGEMENT_USER:
        what = f"is {management.user!r}, and nm-bus makes the user {MANAGEMENT_USER!r}"
        raise ConfigError("management.user", what, "leave it out")
    return management.password_file


def purpose(file: Placed) -> str:
    """What a file is for."""
    return PURPOSE.get(file.path.name, PASSWORD)


def next_steps(settings: SupernodeSettings, config: Path, folder: Path) -> list[str]:
    """What is left to do by hand once the files are there."""
    steps = []
    if settings.peers and settings.link_tls is not None:
        link = f"{settings.link_tls.certificate} {settings.link_tls.key}"
        steps.append(f"chgrp rabbitmq {link} && chmod 640 {link}")
    if folder == FOLDER:
        steps.append("systemctl restart rabbitmq-server")
    else:
        steps.append(f"start RabbitMQ with RABBITMQ_CONFIG_FILE={folder / 'rabbitmq.conf'}")
    return [*steps, f"nm-bus broker setup --config {config}"]


def _password(path: Path) -> str:
    """The password that is there, else a new one."""
    try:
        password = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return secrets.token_hex(20)
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}", "run as root") from None
    if not password:
        raise ConfigError(path, "is empty, where one password is expected", "delete it")
    return password


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}", "check the path") from None
