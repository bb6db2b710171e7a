"""Feeds are kept in groups, and what is asked about is whole or not by the groups that it is in."""

import pytest

from nm_bus.core.ledger.kept import GROUPS, group_of, groups_asked, kept_from
from nm_bus.core.ledger.keys import FORMS, feed_of
from nm_bus.core.ledger.kinds import KINDS

KEPT = {"lock": 90, "supernode": 40, "config": 20}


def test_every_feed_has_a_group() -> None:
    keys = [f"{family}/{word}" for family in FORMS for word in ("a", "a/b")]
    assert {group_of(feed_of(key)) for key in keys} == set(GROUPS)
    assert {group_of(feed_of(f"{family}/a")) for _, family in KINDS} <= set(GROUPS)


def test_the_documents_of_all_components_are_kept_together() -> None:
    assert group_of(feed_of("config/a/b")) == group_of(feed_of("config/c/d")) == "config"


@pytest.mark.parametrize(
    ("key", "without_locks", "since"),
    [
        ("", False, 90),
        ("", True, 40),
        ("config/a/b", False, 20),
        ("lock/l", False, 90),
        ("session/p/s", False, 90),
        ("record/a/b", False, 0),
        ("supernode/s", False, 40),
        ("member/m", False, 40),
    ],
)
def test_a_key_is_whole_where_all_is_kept_that_may_have_changed_it(
    key: str, without_locks: bool, since: int
) -> None:
    assert kept_from(KEPT, groups_asked(key, without_locks=without_locks)) == since


def test_where_nothing_is_missing_everything_is_whole() -> None:
    assert kept_from({}, GROUPS) == 0
