"""The words of the messages: their type names, and the keys by which nodes are found."""

import pytest

from nm_bus.messages import (
    CheckStatus,
    Heartbeat,
    Hello,
    Message,
    Severity,
    domain_key,
    message_type,
)
from nm_bus.protocol import MESSAGES


def test_a_message_type_names_the_message_and_its_version() -> None:
    assert message_type(Heartbeat) == "nm.heartbeat.v1"
    assert message_type(Hello()) == "nm.hello.v1"


def test_no_two_messages_have_the_same_type() -> None:
    assert len({message_type(kind) for kind in MESSAGES}) == len(MESSAGES)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_message_cannot_be_changed(kind: type[Message]) -> None:
    assert kind.__struct_config__.frozen


def test_a_domain_key_is_the_node_id_reversed_and_back() -> None:
    assert domain_key("esgf-node1.llnl.gov") == "gov.llnl.esgf-node1"
    assert domain_key(domain_key("esgf-node1.llnl.gov")) == "esgf-node1.llnl.gov"


def test_check_statuses_are_in_the_order_of_a_plugins_exit_codes() -> None:
    assert [str(status) for status in CheckStatus] == ["ok", "warning", "critical", "unknown"]


def test_severities_are_in_order_the_least_first() -> None:
    assert [str(severity) for severity in Severity] == ["info", "warning", "critical"]
