"""What a supernode sees of its broker's queues, and how many alert queues a principal may have."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nm_agents.supernode.broker.watch import MOST_SUBSCRIPTIONS, BrokerWatch
from nm_broker.answers import NodeAnswer, OverviewAnswer, QueueAnswer
from nm_bus.errors import RefusedError
from nm_bus.settings import Broker, SupernodeSettings, Tls
from nm_bus.topology import Topology

HERE = "sn1.example.org"
ALICE, ALI = "alice.example.org", "ali"
TLS = Tls(Path("ca"), Path("certificate"), Path("key"))


@dataclass
class Api:
    """A management API of a broker that has queues, and nothing else."""

    names: set[str] = field(default_factory=set)

    def depths(self, _vhost: str) -> dict[str, int]:
        return dict.fromkeys(self.names, 0)

    def declare(self, topology: Topology, _vhost: str) -> None:
        self.names |= {queue.name for queue in topology.queues}

    def get(self, _kind: object, *_path: str) -> list[Any]:
        return []

    def overview(self) -> OverviewAnswer:
        return OverviewAnswer(rabbitmq_version="4.0.5")

    def queues_but(self, _vhost: str, prefix: str) -> dict[str, QueueAnswer]:
        asked = [name for name in self.names if not name.startswith(prefix)]
        return {name: QueueAnswer(name=name) for name in asked}

    def shovels(self, _vhost: str) -> dict[str, Any]:
        return {}

    def nodes(self) -> list[NodeAnswer]:
        return [NodeAnswer(name="rabbit@sn1")]


def watch(api: Api) -> BrokerWatch:
    settings = SupernodeSettings("test", HERE, Path("state"), Broker(HERE), TLS)
    return BrokerWatch(api, settings)  # type: ignore[arg-type]


def test_one_subscription_too_many_is_refused_with_what_to_do() -> None:
    seen = watch(Api())
    for n in range(MOST_SUBSCRIPTIONS):
        assert seen.subscribe(ALICE, f"s{n}", ["#"]) == f"alerts.{ALICE}:s{n}"
    with pytest.raises(RefusedError, match=r"rabbitmqctl delete_queue --vhost nm\.test alerts"):
        seen.subscribe(ALICE, "more", ["#"])


def test_a_subscription_that_is_there_can_still_be_changed() -> None:
    names = {f"alerts.{ALICE}:s{n}" for n in range(MOST_SUBSCRIPTIONS)}
    assert watch(Api(names)).subscribe(ALICE, "s0", ["critical.#"]) == f"alerts.{ALICE}:s0"
    assert watch(Api(names)).subscribe(ALICE, "", ["#"]) == f"alerts.{ALICE}"


def test_one_principals_subscriptions_are_not_anothers() -> None:
    names = {f"alerts.{ALICE}:s{n}" for n in range(MOST_SUBSCRIPTIONS)}
    assert watch(Api(names)).subscribe(ALI, "s0", ["#"]) == f"alerts.{ALI}:s0"


def test_a_look_counts_each_principals_tail_queues() -> None:
    names = {f"tail.{ALICE}:{n}" for n in range(3)} | {f"tail.{ALI}:1", f"alerts.{ALICE}:1"}
    assert watch(Api(names)).look().tails == {ALICE: 3, ALI: 1}


def test_a_broker_without_a_node_is_a_refusal() -> None:
    api = Api({"dead"})
    api.nodes = lambda: []  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="the management API knows no node"):
        watch(api).look()


def test_a_node_that_states_nothing_of_itself_counts_as_nothing() -> None:
    seen = watch(Api({"dead"})).look().broker
    assert (seen.state, seen.memory, seen.memory_limit, seen.disk_free) == ("up", 0, 0, 0)


def test_the_queues_but_inboxes_are_asked_for_once_in_a_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []

    def queues_but(self: Api, vhost: str, prefix: str) -> dict[str, Any]:
        asked.append((vhost, prefix))
        return {}

    monkeypatch.setattr(Api, "queues_but", queues_but)
    watch(Api()).look()
    assert asked == [("nm.test", "inbox.")]
