"""The examples beside each schema: both validators take the valid ones and refuse the others."""

from typing import Any, NamedTuple

import msgspec
import pytest

from nm_bus.codec import Reason, Rejected, decode
from nm_bus.contracts import ENVELOPE, load, path_of, validator
from nm_bus.explain import checker
from nm_bus.messages import Event, Hello, Message, message_type
from nm_bus.protocol import MESSAGES

FRAME = {
    "specversion": "1.0",
    "id": "id-1",
    "source": "esgf-node1.llnl.gov",
    "time": "2026-11-21T12:00:00Z",
}


class Example(NamedTuple):
    """An event, whether it is valid, why not, and the field that is to be named."""

    kind: type[Message]
    event: dict[str, Any]
    valid: bool
    what: str
    path: str = ""


def examples_of(kind: type[Message], path: str) -> list[Example]:
    """The examples beside a schema, in their envelope; those of the envelope as they are."""
    examples = load(path.replace(".json", ".examples.json"))
    frame = FRAME | {"type": message_type(kind)}

    def event(data: Any) -> dict[str, Any]:
        whole: dict[str, Any] = data if path == ENVELOPE else frame | {"data": data}
        return whole

    return [Example(kind, event(e["data"]), True, e["what"]) for e in examples["valid"]] + [
        Example(kind, event(e["data"]), False, e["why"], e["path"]) for e in examples["invalid"]
    ]


EXAMPLES = [example for kind in MESSAGES for example in examples_of(kind, path_of(kind))]
EXAMPLES += examples_of(Hello, ENVELOPE)

by_example = pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda each: f"{each.kind.__name__}: {each.what}"
)


@by_example
def test_both_validators_agree_with_the_example(example: Example) -> None:
    assert validator(example.kind).is_valid(example.event) is example.valid
    assert checker(example.kind).is_valid(example.event) is example.valid


@by_example
def test_the_codec_takes_or_refuses_it_and_names_the_field(example: Example) -> None:
    decoded = decode(msgspec.json.encode(example.event))
    if example.valid:
        assert isinstance(decoded, Event)
        return
    assert isinstance(decoded, Rejected)
    assert decoded.reason is Reason.INVALID
    assert decoded.detail.startswith(example.path)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_message_has_examples_of_both_sorts(kind: type[Message]) -> None:
    assert {example.valid for example in examples_of(kind, path_of(kind))} == {True, False}
