"""The ledger: that there is one, that it can decide, and that all have one and the same."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile

from nm_agents.cli.doctor.finding import Finding, fail, ok, warn
from nm_agents.cli.screen.figures import plural
from nm_bus.client import Client
from nm_bus.client.federation.picture import Picture
from nm_bus.client.federation.standings import (
    BEHIND,
    RUNNING,
    SHORT,
    forks,
    members_behind,
    members_in_trouble,
    newest,
    votes_of,
)
from nm_bus.core.alerts.kinds import LEDGER_FORKED, LEDGER_PEER_IGNORED
from nm_bus.core.ledger.epochs import KIND as EPOCH
from nm_bus.core.ledger.voters import node_of, voter_id
from nm_bus.errors import NmBusError
from nm_bus.messages import FeedNumbers, Health, MemberView, Seconds, Standing, Update, VoterId

NOTHING = FeedNumbers(0)
"""Where nobody can be said to be behind."""

SETTLED: Seconds = 30.0
"""Who does not have a revision this long after it was agreed is behind, not just on the way."""

MOST_RECENT = 100
"""So many updates are looked through for one that is that old."""

ENOUGH = 3
"""Voters, of which any one can be lost."""

MOST = 3
"""So many names are shown; the rest is counted."""

INIT = (
    "`nm-bus init --project FILE --config FILE` there, or --replace in a running project; restart"
)
GROW = "`nm-bus supernode add` more of them, then `promote`, to three or five"
BEGIN_AGAIN = (
    "they began with different project files: `nm-bus init --project FILE --config FILE` prints the"
    " fingerprint of each; where it was wrong, stop it, the same with --replace, start it"
)
REPLACE = "`nm-bus init --replace` there, restart, `nm-bus supernode rejoin`, then `promote`"
ROOM = "make room on its disk, or run the same release everywhere; it tries again by itself"
CATCH_UP = "see that its links run; it catches up by itself"
DOCUMENTS = "`nm-bus config status --behind` tells which; the log of its agent tells why"


def examine_ledger(client: Client, picture: Picture) -> Iterator[Finding]:
    """Findings on the ledger as the answering supernode has heard of it."""
    try:
        settled, feeds = _settled(client, picture)
    except NmBusError:
        # What is wrong there is said by its standing.
        settled, feeds = 0, NOTHING
    yield from judge_ledger(picture, settled, feeds)


def _settled(client: Client, picture: Picture) -> tuple[int, FeedNumbers]:
    """What everybody should have by now: the newest revision, and the newest of each feed."""
    newest = list(islice(client.history(), MOST_RECENT))
    if not newest:
        return client.standing().revision, picture.feeds or NOTHING
    fresh = list(takewhile(lambda u: u.time / 1e6 > picture.now - SETTLED, newest))
    if len(fresh) == len(newest):
        return newest[-1].revision - 1, NOTHING
    return newest[len(fresh)].revision, settled_feeds(picture.feeds or NOTHING, fresh)


def settled_feeds(here: FeedNumbers, fresh: Iterable[Update]) -> FeedNumbers:
    """How far feeds are without these updates, from the newest on, which may be on their way."""
    numbers = dict(here.numbers)
    for update in fresh:
        place = update.place
        if update.change.kind == EPOCH:
            return NOTHING
        if place.feed in numbers:
            numbers[place.feed] = min(numbers[place.feed], place.number - 1)
    return FeedNumbers(here.epoch, numbers)


def judge_ledger(
    picture: Picture, settled: int, feeds: FeedNumbers | None = None
) -> Iterator[Finding]:
    """What is wrong with it; `settled` is a revision that every supernode should have, and `feeds`
    what members should have of the feeds that they live by."""
    furthest = newest(picture)
    if furthest is None:
        text = "no supernode has one: no documents, locks or agreed changes"
        yield warn("ledger", text, "`nm-bus init` at each supernode, then restart it")
        return
    wrong = list(chain(_supernodes(picture, furthest, settled), _forks(picture)))
    yield from wrong
    if not wrong:
        yield ok("ledger", f"every supernode that is heard has it: {_place(furthest)}")
    yield from _votes(picture, furthest)
    yield from _members(picture, feeds)


def _place(standing: Standing) -> str:
    return f"revision {standing.revision}, head {standing.head[:SHORT]}"


def _supernodes(picture: Picture, furthest: Standing, settled: int) -> Iterator[Finding]:
    admitted = {*furthest.voters, *furthest.standbys}
    for view in picture.supernodes:
        if view.state is None or view.health is not Health.ALIVE:
            continue
        if view.state.ledger is None:
            yield warn("ledger", f"{view.node} has none", INIT)
        else:
            yield from _supernode(view.state.ledger, admitted, settled)


def _supernode(standing: Standing, admitted: set[VoterId], settled: int) -> Iterator[Finding]:
    node, incarnation = standing.node, standing.incarnation
    if standing.state == BEHIND:
        yield fail("ledger", f"{node} is behind: {standing.reason}", ROOM)
    elif standing.reason:
        yield fail("ledger", f"{node} has {standing.state}: {standing.reason}", REPLACE)
    elif voter_id(node, incarnation) not in admitted:
        text = f"{node} follows as {incarnation}, which was not admitted"
        fix = f"`nm-bus supernode add {node} --incarnation {incarnation}`, then `promote`"
        yield warn("ledger", text, fix)
    elif standing.state != RUNNING:
        text = f"{node} is {standing.state}: it has no vote until the others confirm its file"
        fix = f"it needs its links, and to be admitted; if its disk is an old backup: {REPLACE}"
        yield warn("ledger", text, fix)
    elif standing.revision < settled:
        behind = plural(settled - standing.revision, "revision")
        yield warn("ledger", f"{node} is {behind} behind: {_place(standing)}", CATCH_UP)


def _forks(picture: Picture) -> Iterator[Finding]:
    """Seen now, or by a supernode that compared earlier revisions."""
    fix = f"`nm-bus fsck` tells who differs from the rest; {REPLACE}"
    for one, other in forks(picture):
        text = (
            f"{one.node} and {other.node} have two histories: at revision {one.revision}"
            f" the head is {one.head[:SHORT]} and {other.head[:SHORT]}"
        )
        yield fail("ledger", text, fix if one.revision else BEGIN_AGAIN)
    for alert in picture.alerts:
        if alert.kind == LEDGER_FORKED.name:
            yield fail("ledger", alert.summary, fix)
        elif alert.kind == LEDGER_PEER_IGNORED.name:
            yield fail("ledger", alert.summary, "the alert ends by itself once that is done")


def _votes(picture: Picture, furthest: Standing) -> Iterator[Finding]:
    votes, voters = votes_of(picture), len(furthest.voters)
    able, needed = (votes.able, votes.needed) if votes else (0, 1)
    if able < needed:
        text = f"{able} of {plural(voters, 'voter')} can vote: changes wait"
        yield fail("votes", text, f"bring back supernodes until {needed} vote")
    elif voters >= ENOUGH:
        yield ok("votes", f"{plural(voters, 'voter')}, {able} of them vote")
    if voters < ENOUGH:
        yield warn("votes", _few(voters), GROW)
    yield from _strangers(picture, furthest)


def _few(voters: int) -> str:
    if voters == 1:
        return "one voter: while it is away nothing is agreed, and with its disk all is lost"
    return f"{voters} voters: while either is away nothing is agreed; three can spare one"


def _strangers(picture: Picture, furthest: Standing) -> Iterator[Finding]:
    """Supernodes that the ledger names and the settings do not, and the reverse."""
    admitted = {node_of(voter) for voter in (*furthest.voters, *furthest.standbys)}
    configured = {view.node for view in picture.supernodes}
    for node in sorted(admitted - configured):
        text = f"{node} is a supernode in the ledger, and no peer of {picture.answered_by}"
        yield warn("votes", text, f"name it in `peers`, or `nm-bus supernode remove {node}`")
    for node in sorted(configured - admitted):
        text = f"{node} is a peer of {picture.answered_by}, and no supernode in the ledger"
        fix = f"`nm-bus init --replace` there and `nm-bus supernode add {node}`, or out of `peers`"
        yield warn("votes", text, fix)


def _members(picture: Picture, feeds: FeedNumbers | None) -> Iterator[Finding]:
    late = members_behind(picture, feeds)
    if late:
        many = plural(len(late), "member")
        text = f"{many} behind with the documents that they keep: {_names(late)}"
        yield warn("members", text, "see its agent's log; it asks its supernode again by itself")
    for node, troubles in sorted(members_in_trouble(picture).items())[:MOST]:
        key, reason = min(troubles.items())
        more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
        yield warn("documents", f"{node}: {key}: {reason}{more}", DOCUMENTS)


def _names(members: Sequence[MemberView]) -> str:
    names = ", ".join(view.state.node for view in members[:MOST])
    return f"{names} and {len(members) - MOST} more" if len(members) > MOST else names
