"""What an update to many inboxes is compared with, and that both ways run on a live broker."""

from pathlib import Path

import pytest

from nm_broker.testing.sandbox import Sandbox
from nm_bus.core.ledger.follower import Follower, Place
from nm_bus.errors import RefusedError
from nm_bus.settings import Management, SupernodeSettings
from nm_bus.topology import vhost
from nm_lab.bench.fanout import PROJECT, FannedOut, fanout
from nm_lab.bench.ground import SUPERNODE, USER, BenchBroker
from nm_lab.bench.listeners import AllHave, Gathering, SimulatedInbox
from nm_lab.bench.tables import fanout_json


def test_the_ratio_is_that_of_the_medians() -> None:
    found = FannedOut(10, 500, ours=[0.3, 9.0, 0.2], plain=[0.2, 0.1, 0.3])
    assert found.ratio == pytest.approx(1.5)
    assert found.measured()[0].reached
    assert fanout_json(found)["seconds"]["an update, applied"] == [0.3, 9.0, 0.2]


def test_a_crowd_has_something_only_once_all_have_it() -> None:
    said: list[AllHave] = []
    gathering = Gathering(2, said.append)
    gathering.one_has(revision=1)
    gathering.one_has(number=1)
    assert said == []
    gathering.one_has(revision=1)
    assert [(heard.revision, heard.number) for heard in said] == [(1, 0)]


def test_an_inbox_does_not_count_what_it_cannot_apply() -> None:
    inbox = SimulatedInbox("a.example", Follower(Place(1, 0, "")), Gathering(1, lambda _: None))
    with pytest.raises(RefusedError, match="no update"):
        inbox.apply(b"{}")


@pytest.mark.broker
def test_updates_and_plain_messages_reach_all_inboxes(broker: Sandbox, tmp_path: Path) -> None:
    api = broker.broker.api
    settings = SupernodeSettings(
        project=PROJECT,
        node=SUPERNODE,
        folder=tmp_path,
        broker=broker.address,
        tls=broker.issue(SUPERNODE),
        management=Management(api.url, password_file=tmp_path),
        link_tls=broker.issue(SUPERNODE),
    )
    place = BenchBroker(
        api, broker.address, settings, tmp_path / "sn.toml", broker.issue(USER), tmp_path
    )
    try:
        found = fanout(place, queues=5, updates=2, told=lambda _: None)
    finally:
        api.delete_vhost(vhost(PROJECT))
        for user in (SUPERNODE, USER):
            api.delete_user(user)
    assert len(found.ours) == len(found.plain) == 2
    assert found.ratio > 0
