"""Whatever the bytes, reading goes on: a message is taken, or refused with its reason."""

from dataclasses import replace
from itertools import islice
from random import Random
from typing import cast

import pytest

from nm_agents.host.inbound import AckedFirst, Channel, Taken, taken
from nm_agents.ingest.reader import PartitionReader
from nm_bus.codec import Reason, Rejected, encode
from nm_bus.core.ingest import Ingest
from nm_bus.core.pipe import Pipe
from nm_bus.core.windows import Windows
from nm_bus.messages import (
    FollowedFeed,
    Heartbeat,
    Message,
    Metrics,
    NodeId,
    Properties,
    Running,
    domain_key,
)
from nm_bus.transport.base import Delivery, Transport
from nm_lab.samples.mutated import mutations

NODE, NOW = "n1.example.org", 1_800_000_000.0


def reader() -> PartitionReader:
    pipe = Pipe("heartbeat.0", 3.0)
    return PartitionReader(Ingest("sn1.example.org", 0, "life", pipe), Windows(), {pipe.path: pipe})


def encoded(message: Message, time: float = NOW) -> bytes:
    return encode(message, source=NODE, id="m", time=time)


def delivery(body: bytes, user: NodeId | None = NODE, key: str = domain_key(NODE)) -> Delivery:
    return Delivery(body, "heartbeat", key, user, "heartbeat.0", 1, 1)


def take(reading: PartitionReader, delivery: Delivery, now: float = NOW) -> Taken:
    """What becomes of a delivery, as the program handles it."""
    settling = AckedFirst(cast(Transport, None))
    return taken(Channel(delivery.queue, reading.vouch, settling), delivery, now)


BEAT = Heartbeat("boot", 1, 5.0, 1.0, "x")
GOOD = (
    encoded(BEAT),
    encoded(Metrics("boot", 1, 0.0, {"host.load.1m": 1.0})),
    encoded(Properties("boot", organisation="LLNL")),
    encoded(Running("boot", (FollowedFeed("config/c", 1, 7, "0" * 64),), {"config/c/a": 3})),
)


@pytest.mark.parametrize("seed", range(3))
def test_ten_thousand_spoilt_messages_stop_no_reader(seed: int) -> None:
    reading = reader()
    found = [
        take(reading, delivery(body), NOW) for body in islice(mutations(GOOD, Random(seed)), 10_000)
    ]
    refused = [each for each in found if isinstance(each, Rejected)]
    assert len(refused) > 5_000
    assert all(each.detail for each in refused)
    assert found.count(None) == len(found) - len(refused)
    assert {Reason.NOT_JSON, Reason.TOO_DEEP, Reason.INVALID} <= {each.reason for each in refused}
    assert len(reading.ingest.members) <= 1, "nobody else was made up"
    assert take(reading, delivery(encoded(Heartbeat("next", 1, 5.0, 1.0, "x"))), NOW) is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (delivery(encoded(BEAT), user=None), Reason.NO_USER),
        (delivery(encoded(BEAT), user="n2.example.org"), Reason.NOT_SENDER),
        (delivery(encoded(BEAT), key="org.example.n2"), Reason.NOT_KEY),
        (delivery(encoded(BEAT, NOW + 30 * 86_400.0)), Reason.FAR_FUTURE),
        (delivery(encoded(Metrics("boot", 10**15, 0.0, {}))), Reason.FAR_SEQUENCE),
        (replace(delivery(encoded(BEAT)), headers={"CC": ["x"]}), Reason.NOT_KEY),
        (
            replace(delivery(encoded(BEAT)), headers={Reason.UNREADABLE_HEADERS: True}),
            Reason.UNREADABLE_HEADERS,
        ),
    ],
    ids=lambda each: str(each) if isinstance(each, Reason) else "",
)
def test_what_its_sender_may_not_say_so_is_refused(bad: Delivery, reason: Reason) -> None:
    reading = reader()
    take(reading, delivery(encoded(Metrics("boot", 1, 0.0, {}))), NOW)
    refusal = take(reading, bad, NOW)
    assert isinstance(refusal, Rejected)
    assert refusal.reason is reason


def test_what_a_member_runs_is_taken() -> None:
    reading = reader()
    feeds = (FollowedFeed("config/c", 1, 7, "0" * 64),)
    running = Running("boot", feeds, {"config/c/a": 3}, {"config/c/b": "no room"})
    assert take(reading, delivery(encoded(running)), NOW) is None
    assert reading.ingest.members[domain_key(NODE)].running == running
