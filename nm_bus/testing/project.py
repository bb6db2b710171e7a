"""A project in memory, for the tests of components: clients of it work, and nothing runs.

    project = FakeProject(publishers={"dash.example.org": ["dashboard"]})
    with project.client("dash.example.org") as client:
        client.put("dashboard", "a.json", {"colour": "blue"})

Its supernodes can be hurt: see `nm_bus.testing.supernodes`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nm_bus.client.client import Client
from nm_bus.core.ledger.genesis import genesis
from nm_bus.messages import NodeId
from nm_bus.project import check_project
from nm_bus.settings import LOCAL, AdministratorSettings, Broker, Peer, Timing, Tls
from nm_bus.testing.carrier import connect
from nm_bus.testing.supernodes import FakeSupernodes

SUPERNODES = ("sn1.example.org", "sn2.example.org", "sn3.example.org")
ADMINISTRATOR = "admin.example.org"

QUICK: Timing = type(LOCAL)(connect=0.2, retry_first=0.01, retry_most=0.02)
"""No test waits for long."""

NO_FILE = Path("none.pem")


class FakeProject:
    """Supernodes that answer from memory, and agree at once.

    Administrators may change everything, publishers the documents of their components.
    """

    def __init__(
        self,
        *,
        nodes: Iterable[NodeId] = SUPERNODES,
        administrators: Iterable[NodeId] = (ADMINISTRATOR,),
        publishers: Mapping[NodeId, Iterable[str]] | None = None,
    ) -> None:
        raw = {
            "project": "demo",
            "supernodes": [{"node": node} for node in nodes],
            "administrators": list(administrators),
            "publishers": [
                {"principal": principal, "components": list(components)}
                for principal, components in (publishers or {}).items()
            ],
        }
        state = genesis(check_project(raw, Path("project.toml")))
        self.supernodes = FakeSupernodes(state.snapshot(), tuple(nodes))

    @property
    def settings(self) -> AdministratorSettings:
        """The settings of its clients. No certificate is there, and none is looked for."""
        peers = tuple(Peer(node, Broker(node)) for node in self.supernodes.nodes)
        return AdministratorSettings("demo", peers, Tls(NO_FILE, NO_FILE, NO_FILE), timing=QUICK)

    def client(self, user: NodeId = ADMINISTRATOR, **more: Any) -> Client:
        """A client that is this principal; it is closed by who asks. `more` goes to `Client`."""
        return Client(self.settings, **{"connect": connect(self.supernodes, user)} | more)
