"""pika's fastest way of reading, with no work at all: what no program on pika can exceed."""

from typing import Any

import pika

from nm_bus.settings import SupernodeSettings
from nm_lab.bench.connections import parameters
from nm_lab.bench.readers.task import ACK_EACH, Meter, Spent, Task


def read(task: Task, settings: SupernodeSettings) -> Spent:
    """Read and acknowledge."""
    meter = Meter()
    spent: list[Spent] = []
    count = 0

    def receive(channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        nonlocal count
        count += 1
        if count == task.warm:
            meter.begin(count)
        if count % ACK_EACH == 0 or count == task.messages:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if count == task.messages:
            spent.append(meter.end(count))
            channel.connection.close()

    def consume(channel: Any) -> None:
        channel.basic_qos(prefetch_count=task.prefetch)
        channel.basic_consume(task.queue, receive)

    connection = pika.SelectConnection(
        parameters(settings.broker, task.project, settings.tls),
        on_open_callback=lambda opened: opened.channel(on_open_callback=consume),
        on_close_callback=lambda closed, _reason: closed.ioloop.stop(),
    )
    connection.ioloop.start()
    return spent[0]
