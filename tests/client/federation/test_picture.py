"""A picture of the federation: put together from pages, the worst first, cut to a site."""

import pytest
from msgspec.structs import replace

from nm_bus.client.federation.picture import (
    health_counts,
    is_under,
    links_by_cause,
    under,
    whole,
    worst_check,
)
from nm_bus.messages import Check, CheckStatus, Health, MemberState, MemberView, Overview

from .test_changes import LINK, MEMBER, SN1, SN2, VIEW, member, picture


def page(number: int, *members: MemberView) -> Overview:
    return Overview(SN1, 1.0, number, 2, members, (VIEW,) if number == 0 else ())


def named(node: str, health: Health, *checks: Check) -> MemberView:
    return MemberView(SN1, 0.0, MemberState(node, health, checks=checks))


def test_pages_are_put_together_the_worst_first() -> None:
    well, late = named("a.org", Health.ALIVE), named("b.org", Health.LATE)
    critical = named("c.org", Health.ALIVE, Check("disk", CheckStatus.CRITICAL))
    made = whole([page(0, well), page(1, late, critical)])
    assert made.members == (late, critical, well)
    assert made.supernodes == (VIEW,)


def test_a_member_that_moved_between_two_pages_is_kept_once() -> None:
    assert whole([page(0, MEMBER), page(1, member(health=Health.DOWN))]).members == (
        member(health=Health.DOWN),
    )


def test_a_site_is_its_members_and_all_supernodes() -> None:
    both = picture(members=(named("a.llnl.gov", Health.ALIVE), named("b.org", Health.LATE)))
    assert [view.state.node for view in under(both, "gov.llnl").members] == ["a.llnl.gov"]
    assert under(both, "gov.llnl").supernodes == both.supernodes


def test_members_are_counted_by_their_health() -> None:
    both = picture(members=(named("a.org", Health.LATE), named("b.org", Health.DOWN)))
    assert health_counts(both) == {Health.DOWN: 1, Health.LATE: 1}


def test_no_check_is_a_check_that_is_well() -> None:
    assert worst_check(MEMBER.state) is CheckStatus.OK


def test_links_that_a_lost_supernode_took_with_it_have_one_cause() -> None:
    lost = replace(VIEW, node=SN2, health=Health.UNKNOWN)
    red = tuple(replace(LINK, kind=kind, state="unknown") for kind in ("control", "bulk"))
    causes, others = links_by_cause(picture(supernodes=(VIEW, lost), links=red))
    assert (dict(causes), others) == ({SN2: 2}, ())


@pytest.mark.parametrize(
    ("node", "site", "holds"),
    [
        ("n1.llnl.gov", "gov.llnl", True),
        ("n1.llnl.gov", "", True),
        ("n1.llnl.gov", "gov.llnl.n1", True),
        ("n1.llnl2.gov", "gov.llnl", False),
    ],
)
def test_a_site_ends_at_a_dot(node: str, site: str, holds: bool) -> None:
    assert is_under(node, site) is holds
