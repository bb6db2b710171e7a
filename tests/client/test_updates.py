"""Following: every revision once, in order and verified, whatever becomes of the supernodes."""

import random
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec
import pytest

from nm_bus.client import NOWHERE, Client, Place, Quiet, Snapshot, Updates
from nm_bus.client import updates as following
from nm_bus.core.ledger.chain import head_of
from nm_bus.errors import RefusedError
from nm_bus.messages import Answer, Update
from nm_bus.testing.supernodes import FakeSupernodes
from nm_bus.topology import UPDATES

Made = Callable[..., Client]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time is spent waiting."""
    for name in ("STEP", "PROBE", "POLL", "COMPARE"):
        monkeypatch.setattr(following, name, 0.0)


def put(client: Client, count: int) -> None:
    for n in range(count):
        client.put("dash" if n % 2 else "wps", "a.txt", str(n))


def numbers(updates: Updates, count: int) -> list[int]:
    """The next so many revisions."""
    given = (item for item in updates if isinstance(item, Update))
    return [update.revision for update in islice(given, count)]


@pytest.fixture
def from_start(client: Client) -> Iterator[Updates]:
    with client.updates(since=0, quiet=0.05) as updates:
        yield updates


def test_past_and_coming_updates_are_given_in_order(client: Client, from_start: Updates) -> None:
    put(client, 7)
    assert numbers(from_start, 7) == [1, 2, 3, 4, 5, 6, 7]
    put(client, 30)
    assert numbers(from_start, 30) == list(range(8, 38)), "more than the queue held"
    assert isinstance(next(from_start), Quiet)


def test_the_updates_of_a_component_are_given_alone_and_nothing_else_is_sent(
    client: Client, supernodes: FakeSupernodes
) -> None:
    put(client, 5)
    with client.updates("dash", since=0, quiet=0.05) as updates:
        assert numbers(updates, 2) == [2, 4]
        assert isinstance(next(updates), Quiet)
        assert updates.place.number == 2
        (queue,) = supernodes[0].queues.values()
        client.put("wps", "a.txt", "x")
        assert not queue.waiting


def test_what_another_feed_brings_hides_no_update_that_was_lost(
    client: Client, supernodes: FakeSupernodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, 2)
    with client.updates("dash", since=0, quiet=0.05) as updates:
        assert numbers(updates, 1) == [2]
        monkeypatch.setattr(following, "PROBE", 0.2)
        (queue,) = supernodes[0].queues.values()
        client.put("dash", "a.txt", "lost")
        queue.waiting.clear()
        given: list[object] = []
        while not given:
            client.put("dash.other", "a.txt", "x")
            item = updates.step(0.01)
            given += [item.revision] if isinstance(item, Update) else []
        assert given == [3]


@pytest.mark.parametrize("feed", ["", "config/dash"])
def test_a_lost_last_update_is_found_within_a_minute(
    client: Client, supernodes: FakeSupernodes, monkeypatch: pytest.MonkeyPatch, feed: str
) -> None:
    monkeypatch.undo()
    moment = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: moment[0])
    with client.updates(feed=feed, since=0) as updates:
        client.put("dash", "a.txt", "x")
        while not isinstance(updates.step(0.0), Update):
            continue
        while updates.step(0.0) is not None:
            continue
        (queue,) = supernodes[0].queues.values()
        client.put("dash", "a.txt", "lost")
        queue.waiting.clear()
        begin = moment[0]
        while not isinstance(updates.step(0.0), Update):
            moment[0] += 1.0
            assert moment[0] - begin < 60.0 - client.timeout / 2


def test_a_supernode_that_lags_is_left_within_a_minute(
    client: Client, supernodes: FakeSupernodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    moment = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: moment[0])
    monkeypatch.setattr("time.sleep", lambda _: None)
    client.put("dash", "a.txt", "x")
    with client.updates("dash", since=0) as updates:
        while not isinstance(updates.step(0.0), Update):
            continue
        supernodes[0].cut = True
        begin = moment[0]
        client.at(supernodes.nodes[1]).put("dash", "a.txt", "y")
        while not isinstance(updates.step(0.0), Update):
            moment[0] += 1.0
            assert moment[0] - begin < 60.0


def test_nothing_that_was_is_given_when_it_begins_now(client: Client) -> None:
    put(client, 3)
    with client.updates(quiet=0.05) as updates:
        assert isinstance(next(updates), Quiet)
        put(client, 2)
        assert numbers(updates, 2) == [4, 5]


def test_who_keeps_the_place_goes_on_there(client: Client, from_start: Updates) -> None:
    put(client, 6)
    assert numbers(from_start, 4) == [1, 2, 3, 4]
    kept = msgspec.json.encode(from_start.place)
    with client.updates(since=msgspec.json.decode(kept, type=Place)) as updates:
        assert numbers(updates, 2) == [5, 6]


def test_the_whole_state_comes_first_for_who_has_nothing(client: Client) -> None:
    put(client, 5)
    with client.updates("dash", since=NOWHERE) as updates:
        whole = next(updates)
        assert isinstance(whole, Snapshot)
        assert [entry.key for entry in whole.entries] == ["config/dash/a.txt"]
        assert (whole.at, whole.place.number, whole.reset) == (5, 2, "")
        assert updates.place == whole.place
        put(client, 2)
        assert numbers(updates, 1) == [7]


def test_who_is_too_far_behind_is_given_a_snapshot_and_told_so(
    client: Client, supernodes: FakeSupernodes
) -> None:
    put(client, 9)
    supernodes[0].kept = 6
    with client.updates(since=2) as updates:
        whole = next(updates)
        assert isinstance(whole, Snapshot)
        assert whole.at == whole.place.number == 9
        put(client, 1)
        assert numbers(updates, 1) == [10]


def test_another_history_than_ones_own_is_said(client: Client) -> None:
    put(client, 3)
    with client.updates(since=Place(1, 2, "cd" * 32)) as updates:
        whole = next(updates)
    assert isinstance(whole, Snapshot)
    assert "revision 2 in epoch 1 is not in the supernode's history" in whole.reset


def test_it_goes_on_at_another_supernode_with_the_next_revision(
    client: Client, supernodes: FakeSupernodes, from_start: Updates
) -> None:
    put(client, 4)
    assert numbers(from_start, 4) == [1, 2, 3, 4]
    supernodes[0].kill()
    put(client, 4)
    assert numbers(from_start, 4) == [5, 6, 7, 8]
    supernodes[1].silent = True
    put(client, 2)
    assert numbers(from_start, 2) == [9, 10]


def test_a_supernode_that_is_cut_off_is_left(
    client: Client, supernodes: FakeSupernodes, from_start: Updates
) -> None:
    put(client, 2)
    assert numbers(from_start, 2) == [1, 2]
    supernodes[0].cut = True
    put(client, 3)
    assert numbers(from_start, 3) == [3, 4, 5]


def test_without_a_queue_it_asks(
    client: Client, supernodes: FakeSupernodes, from_start: Updates
) -> None:
    for node in supernodes.nodes:
        supernodes.by_node[node].tails = False
    put(client, 3)
    assert numbers(from_start, 3) == [1, 2, 3]
    put(client, 3)
    assert numbers(from_start, 3) == [4, 5, 6]


def test_a_forged_update_is_not_given(
    client: Client, supernodes: FakeSupernodes, from_start: Updates
) -> None:
    put(client, 2)
    assert numbers(from_start, 2) == [1, 2]
    true = supernodes[0].feed[-1]
    forged = msgspec.structs.replace(true, revision=3, previous=true.head, head="ef" * 32)
    assert forged.head != head_of(forged)
    supernodes[0].publish(UPDATES, forged, "forged")
    put(client, 1)
    alarmed = next(item for item in from_start if not isinstance(item, Quiet))
    assert isinstance(alarmed, Snapshot)
    assert "the hash of revision 3 is not right" in alarmed.reset


def test_who_is_refused_everywhere_is_told_so(
    client: Client, supernodes: FakeSupernodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> Answer:
        raise RefusedError("not known")

    with client.updates(since=NOWHERE) as updates:
        monkeypatch.setattr(supernodes, "asked", refused)
        with pytest.raises(RefusedError, match="not known"):
            next(updates)


@pytest.mark.parametrize("seed", range(10))
def test_whatever_becomes_of_supernodes_each_revision_comes_once_and_in_order(
    seed: int, supernodes: FakeSupernodes, client_of: Made
) -> None:
    chance = random.Random(seed)
    client, total, seen = client_of(timeout=5.0), 0, list[int]()
    with client.updates(since=0, quiet=0.01) as updates:
        for _ in range(40):
            node = chance.choice(supernodes.nodes)
            one = supernodes.by_node[node]
            match chance.choice(("kill", "silent", "cut", "heal", "put", "put", "put")):
                case "heal":
                    supernodes.heal(node)
                case "put":
                    count = chance.randrange(15)
                    put_anyhow(client, supernodes, count)
                    total += count
                case hurt if all(not _is_hurt(o) for o in supernodes.by_node.values()):
                    setattr(one, {"kill": "dead"}.get(hurt, hurt), True)
            for item in islice(updates, chance.randrange(10)):
                if isinstance(item, Update):
                    seen.append(item.revision)
        for node in supernodes.nodes:
            supernodes.heal(node)
        seen += numbers(updates, total - len(seen))
    assert seen == list(range(1, total + 1))


def _is_hurt(one: object) -> bool:
    return any(getattr(one, flag) for flag in ("dead", "silent", "cut"))


def put_anyhow(client: Client, supernodes: FakeSupernodes, count: int) -> None:
    for n in range(count):
        client.propose("set", "config/dash/a.txt", {"content": str(n)})
