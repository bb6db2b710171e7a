"""`nm-bus fsck`."""

import json

import msgspec
import pytest

from nm_agents.cli.fsck import Walk
from nm_bus.messages import Update
from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import NODES, Asking, Run


@pytest.fixture
def ten(ask: Asking) -> None:
    for number in range(10):
        ask("set", f"policy/p{number}", {"n": number})


@pytest.mark.usefixtures("ten")
def test_one_history_everywhere_is_told_with_what_was_checked(run: Run) -> None:
    said = run("fsck")
    assert said.exit_code == 0
    assert f"{NODES[0]}: 10 updates read, revisions 1 to 10" in said.stdout
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


def test_where_the_past_begins_is_said(run: Run, ask: Asking, federation: FakeSupernodes) -> None:
    for number in range(4):
        ask("set", "policy/a", {"n": number})
    federation[0].kept = 2
    said = run("fsck")
    assert said.exit_code == 0
    assert "keeps nothing from before revision 3" in said.stdout
