"""Where the bench measures: a broker of its own in a temporary folder, both gone afterwards.

The bench's user is an `impersonator`: the one user who may say that others sent a message, so that
one connection can stand for many members. No program of a project has that right.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nm_broker.access import Access
from nm_broker.management import ManagementApi
from nm_broker.pki import Authority
from nm_bus.grants import Grant
from nm_bus.identity.role import Role
from nm_bus.settings import Broker, SupernodeSettings, Tls
from nm_bus.topology import EVENTS, Sizes, Topology, project_topology, vhost
from nm_lab.federation.building import Federation, Plan

SUPERNODE = "sn1.bench.example"
USER = "crowd.bench.example"
HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class BenchBroker:
    """A broker that runs. `file` holds the supernode's settings, `tls` is the bench's user's."""

    api: ManagementApi
    broker: Broker
    supernode: SupernodeSettings
    file: Path
    tls: Tls
    folder: Path

    def lay_out(self, project: str, sizes: Sizes) -> None:
        """Make a project's vhost, in which nothing is lost before it was read."""
        place = vhost(project)
        self.api.put_vhost(place)
        self.api.declare(_without_events(project_topology(sizes)), place)
        Access(self.api, place).admit(Role.SUPERNODE, SUPERNODE)
        admit_impersonator(self.api, project)


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder that goes away with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="nm-bus-bench-") as folder:
        yield Path(folder)


@contextmanager
def ground(folder: Path) -> Iterator[BenchBroker]:
    """Start a broker; it is ended at the end, whatever the end is."""
    federation = Federation(Plan(folder, "bench", (SUPERNODE,), {}))
    federation.build()
    running = federation.brokers[SUPERNODE].start()
    try:
        settings = federation.settings[SUPERNODE]
        tls = impersonator(folder)
        file = folder / f"{SUPERNODE}.toml"
        yield BenchBroker(running.api, settings.broker, settings, file, tls, folder)
    finally:
        running.kill()


def impersonator(folder: Path) -> Tls:
    """The certificate of the bench's user, by the authority of the federation in `folder`."""
    return Authority.load(folder / "pki").issue(USER, folder / "pki")


def admit_impersonator(api: ManagementApi, project: str, configure: str = "^$") -> None:
    """Let the bench's user speak for everybody in a project, and make what `configure` names."""
    api.apply(Grant(USER, configure, ".*", ".*", tags=("impersonator",)), vhost(project))


def sizes(messages: int, partitions: int) -> Sizes:
    """Queues that hold so many messages, for as long as a slow machine takes to read them."""
    return Sizes(partitions, members=messages, heartbeat_ttl=HOUR, metrics_length=3 * messages)


def _without_events(topology: Topology) -> Topology:
    """The broker tells its own events in one vhost alone, and the bench needs none."""
    bindings = tuple(b for b in topology.bindings if b.source != EVENTS)
    return replace(topology, bindings=bindings)
