"""The AsyncAPI 3.0 document of the bus, generated from the topology and the messages.

`python -m nm_bus.asyncapi > schemas/asyncapi.yaml` writes it again (JSON is YAML). What each
exchange carries comes from `nm_bus.protocol`; names, arguments and bindings from `nm_bus.topology`.
"""

import inspect
import json
import re
import sys
from typing import Any

from nm_bus import topology
from nm_bus.codec import CONTENT_TYPE
from nm_bus.contracts import ENVELOPE, load, path_of
from nm_bus.identity.role import Role
from nm_bus.messages import Message, message_type
from nm_bus.protocol import CARRIED, MESSAGES, VERBS
from nm_bus.topology import Binding, Exchange, Queue, Sizes, Topology

Json = dict[str, Any]
Messages = tuple[type[Message], ...]

PARAMETERS = {
    "node": "The node id of a member.",
    "peer": "The node id of another supernode.",
    "principal": "The id of who reads: a person or a component.",
    "name": "Which of the reader's queues.",
    "exchange": "The exchange that is listened to.",
}

STANDARD_TYPES = ("topic", "direct", "fanout", "default", "headers")
"""The types of exchange that AsyncAPI's binding knows; a plugin's is told beside it."""

ANSWERS = "answers"
"""The channel of answers: the asker's direct reply-to, a queue that nobody declares."""


def whole_topology() -> Topology:
    """Everything that a broker of a project can have, with parameters for what there are many of.

    One ingest process stands for several.
    """
    sizes = Sizes()
    return (
        topology.project_topology(sizes)
        + topology.link_topology("{peer}", sizes)
        + topology.inbox_topology("{node}", sizes, feeds=("{feed}",))
        + topology.alerts_topology("{principal}", "{name}", ["#"], sizes)
        + topology.tail_topology("{principal}", "{name}", "{exchange}", ("#",), sizes)
    )


def document() -> Json:
    """Give the AsyncAPI document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "nm-bus",
            "version": "1",
            "description": "The node manager of a federation, as messages. The same vhost, "
            "`nm.<project>`, is on the broker of each supernode.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"supernode": _server()},
        "channels": _channels(whole_topology()),
        "operations": _operations(),
        "components": {
            "messages": {_name(kind): _message(kind) for kind in MESSAGES},
            "parameters": {name: {"description": text} for name, text in PARAMETERS.items()},
            "securitySchemes": {"certificate": {"type": "X509"}},
        },
    }


def _server() -> Json:
    return {
        "host": "{supernode}:5671",
        "pathname": "/nm.{project}",
        "protocol": "amqps",
        "protocolVersion": "0.9.1",
        "description": "The broker of a supernode. Its user is the client certificate's DNS name.",
        "variables": {
            "supernode": {"description": "The supernode's host name."},
            "project": {"description": "The project: the unit of isolation."},
        },
        "security": [{"$ref": "#/components/securitySchemes/certificate"}],
    }


def _channels(whole: Topology) -> Json:
    exchanges = {_exchange_key(each.name): _exchange(each, whole) for each in whole.exchanges}
    queues = {_queue_key(each.name): _queue(each, whole) for each in whole.queues}
    return exchanges | queues | {ANSWERS: _answers()}


def _exchange_key(name: str) -> str:
    return _key("exchange", name)


def _queue_key(name: str) -> str:
    return _key("queue", name)


def _key(*words: str) -> str:
    """A channel's key may hold letters, digits, `-` and `_` only."""
    return re.sub(r"[^\w-]+", "-", re.sub("[{}]", "", "-".join(words)))


def _exchange(exchange: Exchange, whole: Topology) -> Json:
    channel = _channel(exchange.name, f"The exchange `{exchange.name}`.", whole)
    about = {"name": exchange.name, "type": exchange.type, "durable": True, "autoDelete": False}
    if exchange.type not in STANDARD_TYPES:
        return {**channel, "x-exchange": about}
    return {
        **channel,
        "bindings": {"amqp": {"is": "routingKey", "exchange": about, "bindingVersion": "0.3.0"}},
    }


def _queue(queue: Queue, whole: Topology) -> Json:
    about = {"name": queue.name, "durable": True, "exclusive": False, "autoDelete": False}
    return {
        **_channel(queue.name, f"The queue `{queue.name}`.", whole),
        "bindings": {"amqp": {"is": "queue", "queue": about, "bindingVersion": "0.3.0"}},
        "x-queue-arguments": queue.declared_arguments(),
    }


def _channel(address: str, description: str, whole: Topology) -> Json:
    parameters = re.findall(r"{(\w+)}", address)
    bound = [_source(each) for each in whole.bindings if each.destination == address]
    kinds = _carried(address, whole, frozenset())
    return {
        "address": address,
        "description": description,
        "messages": {
            _name(kind): {"$ref": f"#/components/messages/{_name(kind)}"} for kind in kinds
        },
        **({"parameters": _parameters(parameters)} if parameters else {}),
        **({"x-bound-to": bound} if bound else {}),
    }


def _parameters(names: list[str]) -> Json:
    return {name: {"$ref": f"#/components/parameters/{name}"} for name in names}


def _source(binding: Binding) -> Json:
    return {"exchange": binding.source, "key": binding.key}


def _carried(place: str, whole: Topology, passed: frozenset[str]) -> Messages:
    """What reaches a place: what is published there, and what the exchanges before it bring."""
    if place == "{exchange}":
        return MESSAGES
    before = [b.source for b in whole.bindings if b.destination == place and b.source not in passed]
    brought = [k for source in before for k in _carried(source, whole, passed | {place})]
    return tuple(dict.fromkeys([*CARRIED.get(place, ()), *brought]))


def _answers() -> Json:
    return {
        "address": None,
        "description": "RabbitMQ's direct reply-to of the asker.",
        "messages": {"answer": {"$ref": "#/components/messages/answer"}},
    }


def _operations() -> Json:
    """What principals do; their requests are those that the broker grants to their role."""
    requests = {
        _key(role, verb): _request(role, verb) for role, verbs in VERBS.items() for verb in verbs
    }
    inbox = topology.inbox_queue("{node}")
    alerts = topology.alerts_queue("{principal}", "{name}")
    return requests | {
        "member-heartbeat": _operation(
            "send", _exchange_key(topology.HEARTBEAT), "A member lives."
        ),
        "member-metrics": _operation(
            "send", _exchange_key(topology.METRICS), "A member has measured."
        ),
        "member-inbox": _operation(
            "receive",
            _queue_key(inbox),
            "A member is asked, and hears of the feeds that it lives by.",
        ),
        "reader-updates": _operation(
            "receive", _queue_key(topology.UPDATES_LOG), "Updates are read again from any point."
        ),
        "reader-alerts": _operation("receive", _queue_key(alerts), "Alerts are read."),
    }


def _operation(action: str, channel: str, summary: str) -> Json:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _request(role: Role, verb: str) -> Json:
    channel = _exchange_key(topology.request_exchange(role))
    answer = {"$ref": f"#/channels/{ANSWERS}/messages/answer"}
    return {
        **_operation("send", channel, f"The role {role} sends `{verb}`: key `{verb}`."),
        "messages": [{"$ref": f"#/channels/{channel}/messages/{verb.partition('.')[0]}"}],
        "reply": {"channel": {"$ref": f"#/channels/{ANSWERS}"}, "messages": [answer]},
    }


def _name(kind: type[Message]) -> str:
    return kind.__name__.lower()


def _message(kind: type[Message]) -> Json:
    data = {"const": message_type(kind)}, {"$ref": f"./{path_of(kind)}"}
    event = {"properties": dict(zip(("type", "data"), data, strict=True))}
    return {
        "name": message_type(kind),
        "title": load(path_of(kind))["title"],
        "summary": inspect.cleandoc(kind.__doc__ or "").partition("\n")[0],
        "contentType": CONTENT_TYPE,
        "payload": {
            "schemaFormat": "application/schema+json;version=2020-12",
            "schema": {"allOf": [{"$ref": f"./{ENVELOPE}"}, event]},
        },
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
