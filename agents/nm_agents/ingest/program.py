"""`nm-bus ingest run`: the composition of one ingest process."""

import os
import uuid
from contextlib import closing
from functools import partial
from pathlib import Path

from nm_agents.connecting import connect
from nm_agents.folder import own_folder
from nm_agents.host.inbound import Inbound
from nm_agents.host.sender import Sender
from nm_agents.ingest.inheritance import Inheritance
from nm_agents.ingest.memory import Memory, database
from nm_agents.ingest.reader import PartitionReader
from nm_agents.ingest.service import IngestService, Statements
from nm_agents.inhand import InHand
from nm_agents.quarantine import Quarantine
from nm_agents.service import log_status, log_to_stderr, on_termination, served, started_by
from nm_bus.core.ingest import Ingest
from nm_bus.core.pipe import Pipe
from nm_bus.core.windows import Windows
from nm_bus.errors import ConfigError
from nm_bus.identity.certificates import check_certificate
from nm_bus.settings import SupernodeSettings, load, timing
from nm_bus.storage.base import Store
from nm_bus.storage.sqlite import open_store
from nm_bus.topology import heartbeat_queue, metrics_queue
from nm_bus.transport.base import Transport


def run(config: Path, partition: int) -> int:
    """Serve one partition until told to stop, or until the supernode that started it is gone."""
    log_to_stderr()
    return served(partial(_serve, config, partition))


def _serve(config: Path, partition: int) -> None:
    settings = load(config, SupernodeSettings)
    check_partition(settings, partition)
    check_certificate(settings.tls, settings.node)
    place = database(settings.folder, partition)
    with (
        own_folder(settings.folder, f"ingest.{partition}.lock"),
        closing(open_store(place, rebuildable=True)) as store,
        InHand(place.with_suffix(".inhand")) as in_hand,
    ):
        name = f"ingest {partition} of {settings.node}"
        transport = connect(settings, name, settings.broker, separate=True)
        service = compose(settings, partition, transport, store, in_hand)
        # its lines stand among the supernode's, which has a connection of its own
        transport.on_status(partial(log_status, of=f"ingest {partition}, broker"))
        on_termination(transport, service.stop)
        service.start()
        transport.run()


def check_partition(settings: SupernodeSettings, partition: int) -> None:
    """Raise ConfigError for a partition that this supernode does not have."""
    last = settings.limits.partitions - 1
    if not 0 <= partition <= last:
        what = f"there is no partition {partition}"
        raise ConfigError("--partition", what, f"give 0 to {last}, as limits.partitions says")


def compose(
    settings: SupernodeSettings,
    partition: int,
    transport: Transport,
    store: Store,
    in_hand: InHand | None = None,
) -> IngestService:
    """Build an ingest process from its settings; `in_hand` marks what it is handling."""
    parent, limits = started_by(), timing(settings)
    heartbeats = Pipe(heartbeat_queue(partition), limits.canary_limit)
    metrics = Pipe(metrics_queue(partition), limits.canary_limit)
    ingest = Ingest(settings.node, partition, uuid.uuid4().hex, heartbeats)
    windows = Windows()
    memory = Memory(store, ingest, windows)
    memory.load(transport.now())
    pipes = {pipe.path: pipe for pipe in (heartbeats, metrics)}
    sender = Sender(transport, settings.node, f"{ingest.incarnation}.{partition}")
    inheritance = Inheritance(sender, ingest, tuple(pipes.values()))
    quarantine = Quarantine(transport, settings.node)
    return IngestService(
        sender=sender,
        inbound=Inbound(transport, quarantine.put, in_hand),
        quarantine=quarantine,
        reader=PartitionReader(ingest, windows, pipes, memory.changed),
        memory=memory,
        statements=Statements(sender, limits, ingest, windows, memory, inheritance),
        heartbeats=heartbeats,
        metrics=metrics,
        parent_lives=lambda: os.getppid() == parent,
    )
