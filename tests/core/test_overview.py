"""The federation on a page: pages, and delays in which the clocks' difference falls out."""

from nm_bus.core.hearing import Hearing
from nm_bus.core.links import LinkHealth
from nm_bus.core.overview import PAGE, links, overview
from nm_bus.core.view import View
from nm_bus.messages import (
    BrokerState,
    Canary,
    Health,
    LinkState,
    MemberState,
    PipeState,
    Statement,
    Supernode,
    SupernodeView,
)

HERE, THERE = "sn1.example", "sn2.example"


def supernode(node: str, incoming: LinkState, link: LinkState) -> SupernodeView:
    state = Supernode(node, "i", 1, 0.0, 0.0, "x", BrokerState("up"), (link,), 1, (incoming,))
    return SupernodeView(node, Health.ALIVE, state=state)


def test_the_difference_of_two_clocks_falls_out_of_the_delay() -> None:
    ahead, delay = 3_600.0, 0.2
    there = LinkState(HERE, THERE, "control", "running", delay=delay + ahead)
    back = LinkState(THERE, HERE, "control", "running", delay=delay - ahead)
    out = LinkState(HERE, THERE, "control", "running")
    home = LinkState(THERE, HERE, "control", "running")
    shown = list(links([supernode(HERE, back, out), supernode(THERE, there, home)]))
    assert all(abs((link.delay or 0) - delay) < 1e-6 for link in shown)


def test_a_link_whose_source_is_silent_is_unknown() -> None:
    state = Supernode(
        HERE, "i", 1, 0.0, 0.0, "x", BrokerState("up"), (LinkState(HERE, THERE, "bulk", "running"),)
    )
    silent = SupernodeView(HERE, Health.UNKNOWN, "no word", state=state)
    (link,) = links([silent])
    assert (link.state, link.reason) == ("unknown", "no word")


def test_members_come_in_pages_and_everything_else_on_the_first() -> None:
    view = View(HERE, limit=10.0)
    members = tuple(MemberState(f"n{n:04}", Health.ALIVE) for n in range(PAGE + 1))
    view.stated(Statement(THERE, 0, "i", 1, PipeState("q", proven=True), members), now=1.0)
    first, second = overview(view, [], 0, 1.0), overview(view, [], 1, 1.0)
    assert (first.pages, len(first.members), len(second.members)) == (2, PAGE, 1)
    assert first.supernodes
    assert not second.supernodes


def test_a_link_is_heard_by_its_canaries_and_silent_without() -> None:
    hearing = Hearing(HERE, limit=6.0)
    hearing.expect([(THERE, "bulk")])
    (before,) = hearing.states(now=1.0)
    hearing.canary((THERE, "bulk"), Canary("bulk", "i", 1, sent=9.5), now=10.0)
    (after,) = hearing.states(now=11.0)
    (late,) = hearing.states(now=17.0)
    assert [before.state, after.state, late.state] == [
        LinkHealth.STARTING,
        LinkHealth.RUNNING,
        LinkHealth.SILENT,
    ]
    assert (after.delay, after.heard) == (0.5, 1.0)


def test_a_canary_of_a_link_that_nobody_expects_is_ignored() -> None:
    hearing = Hearing(HERE, limit=6.0)
    hearing.canary(("stranger.example", "bulk"), Canary("bulk", "i", 1, sent=9.5), now=10.0)
    assert list(hearing.states(now=10.0)) == []
