"""nm-bus's own ingest process as it is in production: validated, aggregated, stored in SQLite."""

from contextlib import closing
from pathlib import Path

import msgspec

from nm_agents.connecting import connect
from nm_agents.ingest.program import compose
from nm_agents.ingest.service import IngestService
from nm_bus.messages import Seconds
from nm_bus.settings import SupernodeSettings
from nm_bus.storage.sqlite import open_store
from nm_bus.transport.pika import PikaTransport
from nm_lab.bench.readers.task import Meter, Spent, Task

LOOK_EACH: Seconds = 0.01
"""How often to look how far it is: rarely enough to cost nothing."""


def read(task: Task, settings: SupernodeSettings) -> Spent:
    """Serve until all messages are read; storing and acknowledging the last ones counts too."""
    settings = msgspec.structs.replace(settings, project=task.project)
    with closing(open_store(Path(task.folder) / "ingest.db", rebuildable=True)) as store:
        name = f"bench of {settings.node}"
        transport = connect(settings, name, settings.broker, separate=True)
        service = compose(settings, task.partition, transport, store)
        watch = _Watch(service, transport, task)
        service.start()
        watch.look()
        transport.run()
    return watch.spent[0]


class _Watch:
    """Begins to count after the first messages, and stops the service after the last one."""

    def __init__(self, service: IngestService, transport: PikaTransport, task: Task) -> None:
        self._service, self._transport, self._task = service, transport, task
        self._meter = Meter()
        self.spent: list[Spent] = []

    def look(self) -> None:
        """Look now, and again soon."""
        received = self._service.ingest.received
        if not self._meter.messages and received >= self._task.warm:
            self._meter.begin(received)
        if received >= self._task.messages:
            self._service.stop()
            self.spent.append(self._meter.end(received))
        else:
            self._transport.later(LOOK_EACH, self.look)
