"""The configuration of a broker that an administrator runs as a service, as files to put in place.

Nothing is started or written here. Every key is one that RabbitMQ 3.10 to 4.x all know: a broker
does not boot with a key it does not know.
"""

from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from nm_broker.configuration import CIPHERS, definitions, enabled_plugins, rabbitmq_conf
from nm_bus.settings import SupernodeSettings, Tls

EVERY_ADDRESS = ""
"""RabbitMQ is given the port alone then: it listens by IPv4 and IPv6, as the machine has them."""

FOLDER = Path("/etc/rabbitmq")


def service_files(
    settings: SupernodeSettings, server: Tls, password: str, folder: Path = FOLDER
) -> dict[Path, str]:
    """The files of the broker's configuration `folder`, by their path.

    `server` is what the broker shows to its clients: its first DNS name must be `broker.host` of
    the settings. `password` is the management user's, which the supernode reads from its own file.
    """
    known = folder / "definitions.json"
    return {
        folder / "rabbitmq.conf": _main(settings, server)
        + _text("service.conf", definitions=known),
        folder / "advanced.config": _text(
            "advanced.config",
            ca=server.ca,
            certificate=server.certificate,
            key=server.key,
            ciphers=", ".join(f'"{cipher}"' for cipher in CIPHERS),
        ),
        folder / "enabled_plugins": enabled_plugins(),
        known: definitions(settings.project, password),
    }


def _main(settings: SupernodeSettings, server: Tls) -> str:
    management = urlsplit(settings.management.url)
    return rabbitmq_conf(
        name=settings.node,
        project=settings.project,
        address=settings.broker.address or EVERY_ADDRESS,
        amqps_port=settings.broker.port,
        management_address=management.hostname or "127.0.0.1",
        management_port=management.port or 15672,
        tls=server,
    )


def _text(name: str, **values: object) -> str:
    template = resources.files("nm_broker").joinpath("templates", name).read_text()
    return Template(template).substitute(values)
