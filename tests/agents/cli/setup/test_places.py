from typing import Any

import pytest

from nm_agents.cli.setup.commands import place_of
from nm_bus.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "broker"),
    [
        ("sn1.org", {"host": "sn1.org", "port": 5671}),
        ("sn1.org:5672", {"host": "sn1.org", "port": 5672}),
        ("sn1.org@10.0.0.1", {"host": "sn1.org", "port": 5671, "address": "10.0.0.1"}),
        ("sn1.org@gate.org:1", {"host": "sn1.org", "port": 1, "address": "gate.org"}),
        ("sn1.org@[::1]:5672", {"host": "sn1.org", "port": 5672, "address": "::1"}),
    ],
)
def test_a_place_is_a_node_with_an_address_and_a_port_if_given(
    text: str, broker: dict[str, Any]
) -> None:
    assert place_of("--peer", text) == ("sn1.org", broker)


@pytest.mark.parametrize("text", ["sn1.org:x", "sn1.org:70000", "sn1.org@[::1"])
def test_what_is_no_place_is_said_with_the_form(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--peer: .* cannot be read; give NODE\[@ADDRESS\]"):
        place_of("--peer", text)
