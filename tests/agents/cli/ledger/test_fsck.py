"""`nm-bus fsck`."""

import json

import msgspec
import pytest

from nm_agents.cli.fsck import Walk
from nm_bus.core.ledger.keys import LOCKS
from nm_bus.messages import Update
from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import ADMIN, NODES, Asking, Run


@pytest.fixture
def ten(ask: Asking) -> None:
    for number in range(10):
        ask("set", f"policy/p{number}", {"n": number})


@pytest.mark.usefixtures("ten")
def test_one_history_everywhere_is_told_with_what_was_checked(run: Run) -> None:
    said = run("fsck")
    assert said.exit_code == 0
    assert f"{NODES[0]}: 10 updates read, revisions 1 to 10, of 1 feed" in said.stdout
    assert said.stdout.count("same head at revision 10") == 3


@pytest.mark.usefixtures("ten")
def test_a_supernode_with_another_head_is_named(run: Run, federation: FakeSupernodes) -> None:
    federation[1].state.head = "cd" * 32
    said = run("fsck", "--json")
    assert said.exit_code == 1
    (wrong,) = json.loads(said.stdout)["wrong"]
    assert f"{NODES[1]} has another head than {NODES[0]} at revision 10" in wrong


@pytest.mark.usefixtures("ten")
def test_one_that_is_behind_is_compared_where_both_have_been(
    run: Run, ask: Asking, federation: FakeSupernodes
) -> None:
    federation[0].cut = True
    ask("set", "policy/later", {"n": 1})
    federation[2].cut = True
    ask("set", "policy/latest", {"n": 1})
    said = run("fsck", "--json")
    assert said.exit_code == 0, said.stdout
    assert json.loads(said.stdout)["same_head_at"] == dict.fromkeys(NODES, 10)


@pytest.mark.usefixtures("ten")
def test_one_that_is_dead_is_told_and_is_no_flaw(run: Run, federation: FakeSupernodes) -> None:
    federation[2].kill()
    said = run("fsck")
    assert said.exit_code == 3
    assert f"{NODES[2]}: not compared: {NODES[2]} refuses connections" in said.stdout


def test_when_nobody_answers_the_reasons_are_told(run: Run, federation: FakeSupernodes) -> None:
    for node in federation.by_node.values():
        node.kill()
    said = run("fsck")
    assert said.exit_code == 3
    assert all(node in said.stderr for node in NODES)


def test_a_ledger_without_updates_is_compared_too(run: Run) -> None:
    assert run("fsck").exit_code == 0


def test_a_changed_update_is_found(run: Run, ask: Asking, federation: FakeSupernodes) -> None:
    for number in range(5):
        ask("set", f"policy/p{number}", {"n": number})
    feed = federation[0].feed
    forged = msgspec.structs.replace(feed[2].change, value={"forged": 1})
    feed[2] = msgspec.structs.replace(feed[2], change=forged)
    said = run("fsck")
    assert said.exit_code == 1
    assert "WRONG: sn1.example.org: the hash of revision 3 is not that of its change" in said.stdout


def test_a_gap_and_a_broken_chain_are_found(ask: Asking, federation: FakeSupernodes) -> None:
    for number in range(5):
        ask("set", f"policy/p{number}", {"n": number})
    updates: list[Update] = federation[0].feed
    gap, broken = Walk("s"), Walk("s")
    for update in (updates[0], updates[2]):
        gap.take(update)
    assert gap.flaws == ["s: revision 3 comes after revision 1"]
    for update in (updates[0], msgspec.structs.replace(updates[1], previous="0" * 64)):
        broken.take(update)
    assert broken.flaws[0] == "s: revision 2 does not follow the head of revision 1"


def test_one_that_began_with_another_project_file_is_named_however_far_the_others_are(
    run: Run, ask: Asking, federation: FakeSupernodes
) -> None:
    federation[1].cut = True
    federation[1].state.head = "f" * 64
    ask("set", "policy/a", {"n": 1})
    said = run("fsck")
    assert said.exit_code == 1
    assert f"WRONG: {federation.nodes[1]} began with another project file" in said.stdout


def test_what_is_not_kept_is_said(run: Run, ask: Asking, federation: FakeSupernodes) -> None:
    for number in range(4):
        ask("set", "policy/a", {"n": number})
    federation[0].kept = 2
    said = run("fsck")
    assert said.exit_code == 0
    kept_no_more = "keeps 2 of the revisions up to 2 no more: they were not checked, 2 of policy"
    assert kept_no_more in said.stdout
    walked = json.loads(run("fsck", "--json").stdout)["walked"]
    assert (walked["updates"], walked["not_checked"], walked["not_kept"]) == (2, 2, {"policy": 2})


@pytest.fixture
def mixed(ask: Asking, federation: FakeSupernodes) -> list[Update]:
    """Documents between sessions that come and go."""
    for number in range(5):
        ask("set", "config/a/b", {"content": f"{number}"})
        ask("open", f"session/{ADMIN}/s{number}", {"ttl": 30_000})
        ask("close", f"session/{ADMIN}/s{number}")
    return federation[0].feed


def walked(updates: list[Update], kept_from: int) -> Walk:
    walk = Walk("s")
    for update in updates:
        walk.take(update, kept_from if update.revision <= kept_from else 0)
    return walk


def without_old_locks(updates: list[Update], upto: int) -> list[Update]:
    return [one for one in updates if one.place.feed != LOCKS or one.revision > upto]


def test_each_feed_is_checked_where_locks_are_not_kept(mixed: list[Update]) -> None:
    walk = walked(without_old_locks(mixed, 9), 9)
    assert walk.flaws == []
    assert (walk.count, walk.not_seen, walk.not_kept) == (9, 6, {LOCKS: 6})


@pytest.mark.parametrize("lost", [3, 6, 9])
def test_a_document_that_is_missing_between_others_is_found(mixed: list[Update], lost: int) -> None:
    kept = [one for one in without_old_locks(mixed, 11) if one.revision != mixed[lost].revision]
    walk = walked(kept, 11)
    walk.settle(lambda _revision: True)
    (flaw,) = walk.flaws
    assert f"comes after number {lost // 3}" in flaw


def test_what_goes_while_it_is_read_is_no_flaw(mixed: list[Update]) -> None:
    walk = walked([*mixed[:2], *without_old_locks(mixed, 9)[1:]], 9)
    walk.settle(lambda revision: revision != 2)
    assert walk.flaws == []


def test_a_document_changed_between_locks_that_are_not_kept_is_found(mixed: list[Update]) -> None:
    kept = without_old_locks(mixed, 9)
    other = msgspec.structs.replace(kept[1].place, previous="0" * 64)
    kept[1] = msgspec.structs.replace(kept[1], place=other)
    flaws = walked(kept, 9).flaws
    assert any("does not follow the head of number 1" in flaw for flaw in flaws)
    assert any("in its feed is not right" in flaw for flaw in flaws)
