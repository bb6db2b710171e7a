import dataclasses
import json
import re

import msgspec
import pytest

from nm_agents.cli.screen.status import EVERYTHING, Rows, rows_that_fit, status_page
from nm_bus.client import Picture
from nm_bus.client.federation.picture import under
from nm_bus.client.federation.standings import Grade, verdict
from nm_bus.errors import ConnectionLostError, NmBusError, RefusedError, TimedOutError
from nm_bus.messages import Answer, CheckStatus, Health, Query, Severity

from . import pictures
from .conftest import FakeBus, Run, client_of
from .pictures import WIDTHS, agrees_with


def drawn(picture: Picture, width: int | None, rows: Rows = EVERYTHING) -> str:
    return pictures.drawn(lambda columns: status_page(picture, columns, rows), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_screen_looks_as_it_did(bus: FakeBus, width: int | None) -> None:
    assert agrees_with("status", width, drawn(client_of(bus).status(), width, Rows(5, 5, 5)))


def test_no_line_is_wider_than_the_terminal(bus: FakeBus) -> None:
    for width in (40, 60, 80, 100, 132):
        assert all(
            len(line) <= width for line in drawn(client_of(bus).status(), width).splitlines()
        )


def test_all_pages_are_fetched_and_the_worst_comes_first(bus: FakeBus) -> None:
    picture = client_of(bus).status()
    assert bus.asked == [Query("status", page=0), Query("status", page=1)]
    healths = [view.state.health for view in picture.members]
    assert healths[:3] == [Health.DOWN, Health.UNKNOWN, Health.LATE]
    assert picture.members[4].state.node == "esgf-node2.llnl.gov", "its check is critical"
    assert [alert.severity for alert in picture.alerts] == [Severity.CRITICAL, Severity.WARNING]


def test_a_site_is_its_members_and_its_alerts(bus: FakeBus) -> None:
    picture = under(client_of(bus).status(), "gov.llnl")
    assert {v.state.node for v in picture.members} == {"esgf-node1.llnl.gov", "esgf-node2.llnl.gov"}
    assert picture.alerts == ()
    assert len(picture.supernodes) == 3


def test_two_thousand_members_are_counts_and_the_worst(bus: FakeBus) -> None:
    picture = client_of(bus).status()
    alive, rename = picture.members[-2], msgspec.structs.replace
    many = [rename(alive, state=rename(alive.state, node=f"n{n}.x.org")) for n in range(2_000)]
    crowd = Picture("sn1", picture.now, (*picture.members[:1], *many), (), (), ())
    said = drawn(crowd, 80, rows_that_fit(crowd, 40))
    assert len(said.splitlines()) <= 40
    assert "2,000 alive" in said
    assert re.search(r"and 1,9\d\d more members \(--all shows them\)", said)
    assert len(drawn(crowd, 80).splitlines()) > 2_000


@pytest.mark.parametrize("height", [30, 40, 60, 200])
def test_the_screen_fits_its_terminal(bus: FakeBus, height: int) -> None:
    picture = client_of(bus).status()
    assert len(drawn(picture, 80, rows_that_fit(picture, height)).splitlines()) <= height
    crowd = dataclasses.replace(
        picture,
        members=picture.members * 300,
        links=picture.links * 60,
        alerts=picture.alerts * 50,
    )
    said = drawn(crowd, 80, rows_that_fit(crowd, height))
    assert height - 5 <= len(said.splitlines()) <= height


def test_status_in_a_pipe_has_no_colours_and_no_filling(run: Run) -> None:
    said = run("status")
    assert said.exit_code == 0
    assert "\x1b" not in said.stdout
    assert all(line == line.rstrip() for line in said.stdout.splitlines())
    assert "silent: no canary for 12 s" in said.stdout, "nothing is cut in a pipe"


def test_remote_text_cannot_write_to_the_terminal(run: Run) -> None:
    for arguments in (["status"], ["status", "--json"], ["top", "esgf-node1.llnl.gov"]):
        said = run(*arguments).stdout
        assert not set(said) & {"\x1b", "\x07", "\x9b", "\u202e", "\r"}


def test_json_has_everything(run: Run) -> None:
    data = json.loads(run("status", "--json").stdout)
    assert len(data["members"]) == 7
    assert data["counts"] == {
        "down": 1, "unknown": 1, "late": 1, "maintenance": 1, "alive": 2, "left": 1
    }  # fmt: skip
    assert data["verdict"] == "critical"


def test_check_speaks_as_a_nagios_plugin(run: Run) -> None:
    said = run("status", "--check")
    assert said.exit_code == Grade.CRITICAL
    stuck = "no change can be agreed: 1 of 3 voters can vote"
    assert said.stdout.startswith(f"CRITICAL - {stuck}, 1 member down")
    said = run("status", "--check", "--under", "gov.llnl")
    assert "members=2" in said.stdout


@pytest.mark.parametrize("site", ["gov.llnl", "gov.llnl.#", "GOV.llnl."])
def test_a_site_may_be_written_as_a_pattern(run: Run, site: str) -> None:
    data = json.loads(run("status", "--json", "--under", site).stdout)
    assert len(data["members"]) == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionLostError("sn1 cannot be reached"), 3),
        (TimedOutError("sn1 said nothing for 10 s"), 3),
        (RefusedError("sn1 does not know you"), 2),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    run: Run, bus: FakeBus, error: NmBusError, code: int
) -> None:
    def fail(message: object) -> Answer:
        raise error

    bus.answers = fail
    said = run("status")
    assert said.exit_code == code
    assert said.stderr.startswith("nm-bus: ")
    assert str(error) in said.stderr
    assert said.stderr.count("\n") == 1
    assert run("status", "--check").exit_code == (3 if code == 3 else 2)


def test_an_answer_of_another_version_is_a_sentence(bus: FakeBus) -> None:
    bus.answers = lambda message: Answer("r", True, data={"members": "many"})
    with pytest.raises(RefusedError, match="update nm-bus"):
        client_of(bus).status()


def test_a_supernode_that_cannot_answer_now_is_no_refusal(bus: FakeBus) -> None:
    bus.answers = lambda message: Answer("r", False, "unavailable", "starting")
    with pytest.raises(ConnectionLostError):
        client_of(bus).status()


def with_supernode(picture: Picture, node: str, **fields: object) -> Picture:
    """The picture with one supernode's view changed."""
    changed = tuple(
        msgspec.structs.replace(view, **fields) if view.node == node else view
        for view in picture.supernodes
    )
    return dataclasses.replace(picture, supernodes=changed)


def row_of(said: str, node: str) -> str:
    return next(line for line in said.splitlines() if node in line)


def test_what_a_silent_supernode_said_before_is_not_shown_as_now(bus: FakeBus) -> None:
    picture = with_supernode(
        client_of(bus).status(), "sn1.llnl.gov", health=Health.UNKNOWN, reason="no word"
    )
    row = row_of(drawn(picture, None).split("SUPERNODES")[1], "sn1.llnl.gov")
    assert row.split()[-8:] == ["-", "-", "-", "voter", "-", "-", "-", "-"]
    assert "proven" not in row


def test_refused_messages_that_are_lost_stand_beside_those_in_quarantine(bus: FakeBus) -> None:
    picture = client_of(bus).status()
    state = next(view.state for view in picture.supernodes if view.node == "sn1.llnl.gov")
    assert state is not None
    lossy = msgspec.structs.replace(state, broker=msgspec.structs.replace(state.broker, dropped=2))
    shown = drawn(with_supernode(picture, "sn1.llnl.gov", state=lossy), None)
    assert "3, 2 lost" in row_of(shown.split("SUPERNODES")[1], "sn1.llnl.gov")


def test_a_supernode_outside_the_ledger_is_not_green_and_no_trouble(bus: FakeBus) -> None:
    picture = client_of(bus).status()
    for view in picture.supernodes:
        ledger = view.state and view.state.ledger
        if view.state and ledger:
            less = msgspec.structs.replace(
                ledger, voters=tuple(v for v in ledger.voters if not v.startswith("sn3."))
            )
            state = msgspec.structs.replace(view.state, ledger=less)
            picture = with_supernode(picture, view.node, state=state)
    row = row_of(drawn(picture, None).split("SUPERNODES")[1], "sn3.ceda.ac.uk")
    assert "no supernode in the ledger" in row
    assert row.startswith("○")
    assert "1 supernode in trouble" in verdict(picture)[1], "sn2 alone: its broker is blocked"


def test_an_unknown_check_is_said_beside_ok(bus: FakeBus) -> None:
    picture = client_of(bus).status()
    member = picture.members[-2]
    check = msgspec.structs.replace(member.state.checks[0], status=CheckStatus.UNKNOWN)
    state = msgspec.structs.replace(member.state, checks=(check,))
    calm = Picture("sn1", 1.0, (msgspec.structs.replace(member, state=state),), (), (), ())
    assert verdict(calm) == (
        Grade.OK,
        "0 supernodes, 1 member (1 with an unknown check)",
    )


def test_links_in_trouble_that_are_not_shown_are_counted(bus: FakeBus) -> None:
    picture = client_of(bus).status()
    red = next(link for link in picture.links if link.state != "running")
    many = dataclasses.replace(picture, links=(red,) * 12, supernodes=())
    assert "and 10 more links, 10 of them in trouble" in drawn(many, None, Rows(5, 2, 5))


def test_the_links_that_a_lost_supernode_took_with_it_are_one_row(bus: FakeBus) -> None:
    picture = client_of(bus).status()
    red = next(link for link in picture.links if link.state != "running")
    many = dataclasses.replace(picture, links=(red,) * 8)
    lost = with_supernode(many, red.destination, health=Health.UNKNOWN)
    section = drawn(lost, None).split("LINKS")[1].split("MEMBERS")[0]
    assert f"{red.destination} ⇄ others" in section
    assert "8 links: see the supernode above" in section
    assert section.count("✖") == 1


def test_a_filter_leaves_the_members_that_it_names_and_counts_all(bus: FakeBus) -> None:
    members = drawn(client_of(bus).status(), None, Rows(named="llnl")).split("MEMBERS")[1]
    assert "esgf-node1.llnl.gov" in members
    assert "data.dkrz.de" not in members
    assert "1 down" in members
