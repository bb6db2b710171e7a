"""The federation on a page: pages, and delays in which the clocks' difference falls out."""

from nm_bus.core.hearing import Hearing
from nm_bus.core.links import LinkHealth
from nm_bus.core.overview import MOST_ALERTS, foremost, links, overview
from nm_bus.core.view import View
from nm_bus.messages import (
    Alert,
    AlertState,
    BrokerState,
    Canary,
    FeedNumbers,
    FollowedFeed,
    Health,
    LinkState,
    MemberState,
    PipeState,
    Running,
    Severity,
    Statement,
    Supernode,
    SupernodeView,
)
from nm_lab.samples.past import Past

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
    members = tuple(MemberState(f"n{n:05}", Health.ALIVE) for n in range(9_000))
    view.stated(Statement(THERE, 0, "i", 1, PipeState("q", proven=True), members), now=1.0)
    first = overview(view, [], 0, 1.0)
    rest = [overview(view, [], page, 1.0) for page in range(1, first.pages)]
    told = [m.state.node for each in (first, *rest) for m in each.members]
    assert first.pages > 1
    assert told == [state.node for state in members]
    assert first.supernodes
    assert not any(each.supernodes for each in rest)
    assert overview(view, [], first.pages, 1.0).members == ()


def test_the_first_page_says_how_far_the_feeds_are_that_members_live_by() -> None:
    past = Past()
    for component in ("a", "b", "b"):
        past.put("d", component=component)
    view = View(HERE, limit=10.0)
    feeds = [FollowedFeed(name, 1, 1, "ab" * 32) for name in ("config/b", "config/none", "")]
    running = Running("i", tuple(feeds))
    members = (MemberState("n1", Health.ALIVE, running=running), MemberState("n2", Health.ALIVE))
    view.stated(Statement(THERE, 0, "i", 1, PipeState("q", proven=True), members), now=1.0)
    numbers = {"config/b": 2, "config/none": 0, "": 3}
    assert overview(view, [], 0, 1.0, past.state).feeds == FeedNumbers(1, numbers)
    assert overview(view, [], 1, 1.0, past.state).feeds is None
    assert overview(view, [], 0, 1.0).feeds is None, "there is no ledger"


def test_of_too_many_alerts_the_severe_and_the_new_are_told() -> None:
    def alert(number: int, severity: Severity) -> Alert:
        name, at = f"a{number}", float(number)
        return Alert(name, 1, AlertState.RAISED, severity, "k", "n1", "x", at, at, HERE)

    mild = [alert(n, Severity.WARNING) for n in range(MOST_ALERTS)]
    told = foremost([*mild, alert(0, Severity.CRITICAL)])
    assert len(told) == MOST_ALERTS
    assert told[0].severity is Severity.CRITICAL
    assert told[1].raised > told[-1].raised > 0.0


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
