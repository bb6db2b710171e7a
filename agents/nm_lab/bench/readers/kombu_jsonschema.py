"""The usual way: kombu reads, json parses, jsonschema validates. It aggregates nothing."""

import json
import ssl
from typing import Any

import kombu

from nm_bus.explain import checker
from nm_bus.messages import Heartbeat, Metrics
from nm_bus.settings import SupernodeSettings, connects_to
from nm_bus.topology import HEARTBEAT, vhost
from nm_lab.bench.readers.task import ACK_EACH, Meter, Spent, Task

PATIENCE = 60.0
"""Seconds that the next message may take."""


def read(task: Task, settings: SupernodeSettings) -> Spent:
    """Read, parse, validate and acknowledge."""
    # made once: making a validator costs more than using it
    validator = checker(Heartbeat if task.stream == HEARTBEAT else Metrics)
    meter = Meter()
    count = 0

    def receive(message: Any) -> None:
        nonlocal count
        validator.validate(json.loads(message.body))
        count += 1
        if count == task.warm:
            meter.begin(count)
        if count % ACK_EACH == 0 or count == task.messages:
            message.ack(multiple=True)

    with _connection(task, settings) as connection:
        queue = kombu.Queue(task.queue, no_declare=True)
        with kombu.Consumer(connection, [queue], on_message=receive, prefetch_count=task.prefetch):
            while count < task.messages:
                connection.drain_events(timeout=PATIENCE)
            return meter.end(count)


def _connection(task: Task, settings: SupernodeSettings) -> Any:
    address, port = connects_to(settings.broker)
    tls = settings.tls
    return kombu.Connection(
        hostname=address,
        port=port,
        virtual_host=vhost(task.project),
        userid="",
        password="",
        login_method="EXTERNAL",
        ssl={
            "ca_certs": str(tls.ca),
            "certfile": str(tls.certificate),
            "keyfile": str(tls.key),
            "cert_reqs": ssl.CERT_REQUIRED,
            "server_hostname": settings.broker.host,
        },
    )
