"""The AsyncAPI document: in step with the code, whole, and without a reference into nothing."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from nm_bus.asyncapi import document, whole_topology
from nm_bus.contracts import load
from nm_bus.messages import Message, message_type
from nm_bus.protocol import MESSAGES

DOCUMENT = document()
CHANNELS = DOCUMENT["channels"]

by_channel = pytest.mark.parametrize("channel", CHANNELS.values(), ids=list(CHANNELS))


def references(value: Any) -> Iterator[str]:
    """Every `$ref` within the document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def found(pointer: str) -> Any:
    """What a reference within the document points to."""
    place: Any = DOCUMENT
    for step in pointer.removeprefix("#/").split("/"):
        place = place[step]
    return place


def test_the_file_is_what_the_code_says_now() -> None:
    fix = "run: python -m nm_bus.asyncapi > schemas/asyncapi.yaml"
    assert load("asyncapi.yaml") == json.loads(json.dumps(DOCUMENT)), fix


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert found(reference) if reference.startswith("#/") else load(reference)


def test_every_exchange_and_queue_is_a_channel() -> None:
    whole = whole_topology()
    names = [exchange.name for exchange in whole.exchanges] + [each.name for each in whole.queues]
    assert [c["address"] for c in CHANNELS.values() if c["address"]] == names


@by_channel
def test_a_channel_says_what_amqp_calls_it(channel: dict[str, Any]) -> None:
    if channel["address"] is None:
        return
    amqp = channel["bindings"]["amqp"] if "bindings" in channel else {}
    about = amqp.get("queue") or amqp.get("exchange") or channel["x-exchange"]
    assert about["name"] == channel["address"]
    assert about["durable"]


def test_only_what_the_binding_does_not_know_is_told_beside_it() -> None:
    beside = {c["address"] for c in CHANNELS.values() if "x-exchange" in c}
    assert beside == {"heartbeat.hash", "metrics.hash"}


@by_channel
def test_a_channel_tells_its_parameters(channel: dict[str, Any]) -> None:
    assert set(re.findall(r"{(\w+)}", channel["address"] or "")) == set(
        channel.get("parameters", {})
    )


@pytest.mark.parametrize("name", [*CHANNELS, *DOCUMENT["operations"]])
def test_a_key_has_only_the_letters_that_asyncapi_allows(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", name)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_message_travels_on_some_channel(kind: type[Message]) -> None:
    name = kind.__name__.lower()
    assert DOCUMENT["components"]["messages"][name]["name"] == message_type(kind)
    assert any(name in channel["messages"] for channel in CHANNELS.values())


def test_an_operation_uses_only_messages_of_its_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        for message in operation.get("messages", []):
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")


def test_what_is_bound_to_an_exchange_carries_its_messages() -> None:
    assert "heartbeat" in CHANNELS["queue-heartbeat-0"]["messages"]
    assert "metrics" not in CHANNELS["queue-heartbeat-0"]["messages"]
    assert "statement" in CHANNELS["queue-out-peer-bulk"]["messages"]
