"""A broker boots with the configuration that an administrator is given for a service."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nm_broker.answers import Named
from nm_broker.pki import Authority
from nm_broker.private import PrivateBroker, RunningBroker
from nm_broker.program import Program
from nm_broker.service import service_files
from nm_broker.testing.federation import eventually
from nm_bus.settings import Broker, Management, SupernodeSettings

pytestmark = pytest.mark.broker

NAME = "sn1.example.org"
PASSWORD = "of the service"


@pytest.fixture
def service(tmp_path: Path, program: Program) -> Iterator[RunningBroker]:
    """A private broker for which the service's files are read last, so that they count."""
    tls = Authority.create(tmp_path / "pki").issue(NAME, tmp_path / "pki")
    own = PrivateBroker.placed(tmp_path / "broker", NAME, "demo", tls, program)
    settings = SupernodeSettings(
        "demo",
        NAME,
        tmp_path,
        Broker(NAME, own.amqps_port, own.address),
        tls,
        management=Management(url=f"http://{own.address}:{own.management_port}"),
    )
    etc = own.folder / "etc"
    files = service_files(settings, tls, PASSWORD, etc)
    late = {"rabbitmq.conf": own.folder / "conf.d" / "90-service.conf"}
    late["advanced.config"] = own.folder / "advanced.config"
    for path, text in files.items():
        place = late.get(path.name, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    running = own.start()
    yield running
    running.kill()


def test_a_broker_boots_with_the_files_of_a_service(service: RunningBroker) -> None:
    api = replace(service.api, password=PASSWORD)
    eventually(lambda: api.nodes()[0].disk_free_limit == 2_000_000_000, "the limit of the service")
    assert api.users() == ["_nm-bus"]
    assert "nm.demo" in api.vhosts()
    exchanges = api.get(tuple[Named, ...], "exchanges", "nm.demo")
    assert "amq.rabbitmq.event" in [exchange.name for exchange in exchanges]
