"""Grants: whoever is let in reaches what is its own and nothing beside it."""

import re

import pytest

from nm_bus.grants import NOTHING, Grant, grant, link_user
from nm_bus.identity.role import Role
from nm_bus.messages import domain_key
from nm_bus.protocol import VERBS
from nm_bus.topology import (
    HEARTBEAT,
    UPDATES_LOG,
    alerts_queue,
    inbox_queue,
    peer_exchange,
    request_exchange,
    tail_queue,
)

NODE, PEER = "n1.llnl.gov", "sn2.dkrz.de"
PRINCIPALS = (Role.MEMBER, Role.ADMINISTRATOR, Role.COMPONENT)


def may(expression: str, name: str) -> bool:
    """Whether the broker would allow it: it searches, so only anchors make it a whole match."""
    return re.search(expression.replace(r"\z", r"\Z"), name) is not None


def test_a_dot_in_a_name_matches_a_dot_only() -> None:
    own = grant(Role.MEMBER, NODE)
    assert may(own.read, inbox_queue(NODE))
    assert not may(own.read, inbox_queue("n1xllnl.gov"))
    write, _ = own.topics[HEARTBEAT]
    assert may(write, "gov.llnl.n1")
    assert not may(write, "govxllnl.n1")
    assert not may(write, "gov.llnl.n1.more")


@pytest.mark.parametrize("role", PRINCIPALS)
def test_a_principal_makes_nothing_and_asks_only_what_its_role_may(role: Role) -> None:
    own = grant(role, NODE)
    assert own.configure == NOTHING
    assert [other for other in PRINCIPALS if may(own.write, request_exchange(other))] == [role]
    write, read = own.topics[request_exchange(role)]
    assert read == NOTHING
    for verb in {verb for verbs in VERBS.values() for verb in verbs}:
        assert may(write, verb) is (verb in VERBS[role])
        assert not may(write, f"{role}.{verb}")


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.SUPERNODE])
def test_a_newline_after_what_is_granted_is_not_granted(role: Role) -> None:
    own = grant(role, NODE)
    keys = ["query", domain_key(NODE), HEARTBEAT, inbox_queue(NODE), UPDATES_LOG]
    keys += [request_exchange(role), alerts_queue(NODE), peer_exchange(NODE), f"out.{NODE}"]
    limits = [side for pair in own.topics.values() for side in pair]
    for expression in (own.configure, own.write, own.read, *limits):
        assert not any(may(expression, key + "\n") for key in keys)


def test_who_reads_alerts_reads_only_its_own() -> None:
    own = grant(Role.ADMINISTRATOR, "me")
    assert may(own.read, alerts_queue("me"))
    assert may(own.read, alerts_queue("me", "pager"))
    assert may(own.read, tail_queue("me", "0f"))
    for foreign in (alerts_queue("me2"), alerts_queue("you", "me"), inbox_queue("me")):
        assert not may(own.read, foreign)


@pytest.mark.parametrize("role", PRINCIPALS)
def test_whoever_lives_by_the_ledger_may_read_its_log_and_nothing_like_it(role: Role) -> None:
    own = grant(role, NODE)
    assert may(own.read, UPDATES_LOG)
    assert not may(own.read, "updatesxlog")
    assert not may(own.write, UPDATES_LOG)


def test_a_component_may_watch_updates_and_nothing_else() -> None:
    write, _ = grant(Role.COMPONENT, NODE).topics[request_exchange(Role.COMPONENT)]
    assert may(write, "tail.updates")
    assert not may(write, "tail")
    assert not may(write, "tailxupdates")


def test_a_link_writes_to_its_own_exchange_and_to_nothing_else() -> None:
    own = grant(Role.LINK, link_user(PEER))
    assert may(own.write, peer_exchange(PEER))
    assert not may(own.write, peer_exchange(f"{PEER}.org"))
    assert (own.configure, own.read) == (NOTHING, NOTHING)


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.SUPERNODE])
def test_whatever_is_granted_is_anchored(role: Role) -> None:
    own: Grant = grant(role, NODE)
    limits = [side for pair in own.topics.values() for side in pair]
    for expression in (own.configure, own.write, own.read, *limits):
        assert expression.startswith("^")
        assert expression.endswith(r"\z")
