"""How the federation does, in one word."""

import pytest
from msgspec.structs import replace

from nm_bus.client import Picture
from nm_bus.client.federation.standings import Grade, as_data, verdict
from nm_bus.messages import Check, CheckStatus, Health

from .test_changes import LINK, SN1, STANDING, member, picture, view


def test_a_quiet_federation_is_ok() -> None:
    assert verdict(Picture("sn1", 0.0, (), (), (), ())) == (
        Grade.OK,
        "0 supernodes, 0 members",
    )


def test_a_member_that_is_down_is_critical_and_a_late_one_a_warning() -> None:
    assert verdict(picture(members=(member(health=Health.DOWN),))) == (
        Grade.CRITICAL,
        "1 member down",
    )
    assert verdict(picture(members=(member(health=Health.LATE),)))[0] is Grade.WARNING


def test_where_too_few_can_vote_that_comes_first() -> None:
    voters = (f"{SN1}#genesis", "sn2.example.org#genesis", "sn3.example.org#genesis")
    lonely = picture(supernodes=(view(ledger=replace(STANDING, voters=voters)),))
    assert verdict(lonely) == (
        Grade.CRITICAL,
        "no change can be agreed: 1 of 3 voters can vote",
    )


@pytest.mark.parametrize("state", ["silent", "unknown"])
def test_a_link_in_trouble_is_a_warning(state: str) -> None:
    level, why = verdict(picture(links=(replace(LINK, state=state),)))
    assert (level, why) == (Grade.WARNING, "1 link in trouble")


def test_an_unknown_check_is_said_beside_ok() -> None:
    unsure = member(checks=(Check("http", CheckStatus.UNKNOWN),))
    assert verdict(picture(members=(unsure,)))[1].endswith("(1 with an unknown check)")


def test_as_data_it_has_the_verdict_and_the_ledger() -> None:
    data = as_data(picture())
    assert (data["verdict"], data["ledger"]["revision"]) == ("ok", STANDING.revision)
