"""Who may ask for what, row by row."""

import pytest

from nm_bus.core.ledger.kinds import KINDS
from nm_bus.core.ledger.roles import Relation, refusal
from nm_bus.messages import Change
from nm_lab.samples.desk import Desk

MAY_BY_NAME = [
    ("set", "config/search/a", "admin pub"),
    ("delete", "config/search/a", "admin pub"),
    ("set", "config/other/a", "admin"),
    ("set", "record/endpoint/m1.org", "admin pub m1.org"),
    ("set", "record/endpoint/m1.org.thredds", "admin pub m1.org"),
    ("set", "record/endpoint/m1.orga", "admin pub"),
    ("set", "record/endpoint/s1.org", "admin pub s1.org"),
    ("set", "record/endpoint/eve", "admin pub"),
    ("delete", "record/endpoint/m1.org", "admin pub m1.org"),
    ("set", "role/eve", "admin"),
    ("delete", "role/pub", "admin"),
    ("set", "policy/alerts", "admin"),
    ("delete", "policy/alerts", "admin"),
    ("set", "silence/1", "admin"),
    ("delete", "silence/1", "admin"),
    ("join", "member/m1.org", "admin s1.org"),
    ("leave", "member/m1.org", "admin s1.org m1.org"),
    ("maintain", "member/m1.org", "admin m1.org"),
    ("resume", "member/m1.org", "admin m1.org"),
    ("remove", "member/m1.org", "admin"),
    ("admit", "supernode/s9.org", "admin"),
    ("dismiss", "supernode/s1.org", "admin"),
    ("begin", "rules/version", "s1.org"),
    ("open", "session/eve/s", "eve"),
    ("close", "session/eve/s", "admin eve"),
    ("expire", "session/eve/s", "s1.org"),
    ("lock", "lock/l", "admin pub s1.org m1.org m2.org eve"),
    ("unlock", "lock/l", "admin pub s1.org m1.org m2.org eve"),
]
ACTORS = ["admin", "pub", "s1.org", "m1.org", "m2.org", "eve"]


@pytest.mark.parametrize(("kind", "key", "allowed"), MAY_BY_NAME)
def test_just_these_may(kind: str, key: str, allowed: str) -> None:
    desk = Desk()
    desk.done("s1.org", "join", "member/m1.org")
    desk.done("s1.org", "join", "member/m2.org")
    changes = [Change(f"{actor}/a/1", actor, kind, key) for actor in ACTORS]
    row = KINDS[kind, key.partition("/")[0]]
    may = [change.actor for change in changes if refusal(desk.state, change, row.may) is None]
    assert may == allowed.split()


def test_the_table_is_tried_whole() -> None:
    assert {(kind, key.partition("/")[0]) for kind, key, _ in MAY_BY_NAME} == KINDS.keys()


def test_the_refusal_says_who_may() -> None:
    change = Change("eve/a/1", "eve", "set", "config/search/a")
    refused = refusal(Desk().state, change, KINDS["set", "config"].may)
    assert refused is not None
    assert refused.reason == (
        "eve may not set config/search/a: an administrator or a publisher of the component may"
    )
    assert Relation.PUBLISHER in refused.reason


def test_who_left_has_no_records_of_its_own_any_more() -> None:
    desk = Desk()
    desk.done("s1.org", "join", "member/m1.org")
    desk.done("m1.org", "set", "record/log/m1.org", {"level": "info"})
    desk.done("m1.org", "leave", "member/m1.org")
    assert desk.refused("m1.org", "set", "record/log/m1.org", {"level": "info"}) == "not-allowed"


def test_a_role_counts_from_the_next_change_on() -> None:
    desk = Desk()
    desk.done("admin", "set", "role/eve", {"publisher": ["maps"]})
    desk.done("eve", "set", "config/maps/a", {"content": "x"})
    desk.done("admin", "delete", "role/eve")
    assert desk.refused("eve", "set", "config/maps/a", {"content": "x"}) == "not-allowed"
