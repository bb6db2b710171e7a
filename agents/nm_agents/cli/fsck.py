"""`nm-bus fsck`: the hash chain is computed again, and the supernodes are held to one history."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import typer

from nm_agents.cli.options import Config, Json, Timeout, connected
from nm_agents.cli.screen.console import say
from nm_agents.cli.screen.printable import as_json, printable
from nm_agents.exits import Exit
from nm_bus.client import Client
from nm_bus.core.ledger.chain import feed_head_of, head_of
from nm_bus.errors import ConnectionLostError, NmBusError, RefusedError
from nm_bus.messages import NodeId, Standing, Update

LONGEST = 20
"""How many flaws are told; one wrong hash makes no more of them, but a lost row may."""


NAMED = 5
"""How many feeds are named that are not whole."""


@dataclass
class Walk:
    """What was seen on the way along one supernode's updates."""

    at: NodeId
    first: int = 0
    last: int = 0
    count: int = 0
    head: str = ""
    kept_from: int = 0
    """Up to this revision some are not kept."""
    heads: dict[int, str] = field(default_factory=dict)
    feeds: dict[str, Update] = field(default_factory=dict)
    """The last update of each feed."""
    not_kept: dict[str, int] = field(default_factory=dict)
    """How many updates of a feed were before the first one that is kept."""
    gaps: dict[int, str] = field(default_factory=dict)
    """What follows an update in its feed and is not the next one of it, by the revision of the
    former."""
    flaws: list[str] = field(default_factory=list)

    @property
    def not_seen(self) -> int:
        """How many revisions up to the last one were not there to be checked."""
        return self.last - self.count

    def take(self, update: Update, kept_from: int = 0) -> None:
        """The next update: it must follow the last head of its feed, and the last one of all where
        they are without a gap, and hash right. Up to `kept_from` some are not kept."""
        self.kept_from = max(self.kept_from, kept_from)
        self._in_all(update)
        self._in_its_feed(update)
        number = update.revision
        if update.head != head_of(update):
            self._wrong(f"the hash of revision {number} is not that of its change")
        if update.place.head != feed_head_of(update):
            self._wrong(f"the hash of revision {number} in its feed is not right")
        self.first = self.first or number
        self.count += 1
        self.heads.setdefault(number - 1, update.previous)
        self.last, self.head = number, update.head
        self.heads[number] = update.head

    def _in_all(self, update: Update) -> None:
        number = update.revision
        is_next = number == self.last + 1
        is_gap = not is_next and (self.last or self.kept_from)
        if is_gap and (number <= self.last or number - 1 > self.kept_from):
            self._wrong(f"revision {number} comes after revision {self.last}")
        elif self.last and is_next and update.previous != self.head:
            self._wrong(f"revision {number} does not follow the head of revision {self.last}")

    def _in_its_feed(self, update: Update) -> None:
        place, before = update.place, self.feeds.get(update.place.feed)
        self.feeds[place.feed] = update
        where = f"number {place.number} of {place.feed}, revision {update.revision},"
        if before is None:
            self.not_kept |= {place.feed: place.number - 1} if place.number > 1 else {}
        elif place.number != before.place.number + 1 and len(self.gaps) < LONGEST:
            self.gaps[before.revision] = f"{where} comes after number {before.place.number}"
        elif place.previous != before.place.head:
            self._wrong(f"{where} does not follow the head of number {before.place.number}")

    def settle(self, is_kept: Callable[[int], bool]) -> None:
        """In a feed the oldest go first: a gap after one that is still kept is a flaw, and one
        after an update that went meanwhile is none."""
        for revision, flaw in self.gaps.items():
            if is_kept(revision):
                self._wrong(flaw)

    def _wrong(self, flaw: str) -> None:
        if len(self.flaws) < LONGEST:
            self.flaws.append(f"{self.at}: {flaw}")


@dataclass(frozen=True, slots=True)
class FsckReport:
    """What was checked, what was wrong, and whom nobody could ask."""

    walk: Walk
    agreeing: dict[NodeId, int]
    """Who has the walk's head, and at which revision that was compared."""
    flaws: list[str]
    unheard: dict[NodeId, str]


def fsck(
    context: typer.Context,
    *,
    config: Config = None,
    json: Json = False,
    timeout: Timeout = 30.0,
) -> None:
    """Check the ledger: walk all updates, compute the hash chain, compare all supernodes' heads.

    The updates are those of the first supernode that answers, as far as it keeps them: each follows
    the one before it in its feed, and in the whole where none is missing. The others are compared
    at the newest revision that both have.

    Example: nm-bus fsck --json

    Exit codes: 0 all supernodes have one and the same history, 1 something is wrong, 2 something
    to correct, 3 nothing is wrong, but not every supernode answered.
    """
    with connected(context, config, timeout) as client:
        report = examined(client)
    if json:
        say(as_json(_data(report), indent=True))
    else:
        for line in _lines(report):
            say(printable(line))
    raise typer.Exit(_verdict(report))


def examined(client: Client) -> FsckReport:
    """Ask every supernode. Raises ConnectionLostError when none answers."""
    standings, unheard = _standings(client)
    if not standings:
        raise ConnectionLostError("; ".join(f"{node}: {why}" for node, why in unheard.items()))
    first = next(iter(standings))
    walk = Walk(first)
    there = client.at(first)
    for update in there.updates_of():
        walk.take(update, there.past_from - 1)
    walk.settle(lambda revision: there.revision(revision) is not None)
    agreeing: dict[NodeId, int] = {}
    flaws = list(walk.flaws)
    for node in standings:
        try:
            revision, flaw = _compared(client, walk, standings[first], standings[node])
        except NmBusError as error:
            unheard[node] = str(error)
            continue
        if flaw:
            flaws.append(flaw)
        else:
            agreeing[node] = revision
    return FsckReport(walk, agreeing, flaws, unheard)


def _standings(client: Client) -> tuple[dict[NodeId, Standing], dict[NodeId, str]]:
    found: dict[NodeId, Standing] = {}
    unheard: dict[NodeId, str] = {}
    for node in client.supernodes:
        try:
            found[node] = client.standing(node)
        except NmBusError as error:
            unheard[node] = str(error)
    return found, unheard


def _compared(client: Client, walk: Walk, ours: Standing, theirs: Standing) -> tuple[int, str]:
    """The newest revision that both have, and what differs there."""
    node = theirs.node
    if theirs.epoch != ours.epoch:
        return 0, f"{node} is in epoch {theirs.epoch}, {walk.at} in epoch {ours.epoch}"
    last = walk.last or ours.revision
    revision = min(last, theirs.revision)
    head = theirs.head if theirs.revision <= last else _head_at(client.at(node), revision)
    known = walk.heads.get(revision, ours.head if revision == ours.revision else "")
    if not known:
        raise RefusedError(f"is at revision {revision}, and {walk.at} keeps that one no more")
    if head != known and not revision:
        return 0, f"{node} began with another project file than {walk.at}: see `nm-bus doctor`"
    if head != known:
        return revision, f"{node} has another head than {walk.at} at revision {revision}: {head}"
    return revision, ""


def _head_at(client: Client, revision: int) -> str:
    """The head of a supernode at a revision that it has left behind."""
    update = client.revision(max(1, revision))
    if update is None:
        raise RefusedError(f"keeps revision {revision} no more")
    return update.previous if revision == 0 else update.head


def _verdict(report: FsckReport) -> Exit:
    if report.flaws:
        return Exit.NEGATIVE
    return Exit.LATER if report.unheard else Exit.OK


def _lines(report: FsckReport) -> Iterator[str]:
    walk = report.walk
    if walk.last:
        feeds = f"{len(walk.feeds)} feed{'s' if len(walk.feeds) > 1 else ''}"
        revisions = f"revisions {walk.first} to {walk.last}"
        yield f"{walk.at}: {walk.count} updates read, {revisions}, of {feeds}"
        yield f"head of revision {walk.last}: {walk.head}"
        if walk.not_seen:
            yield _not_checked(walk)
    else:
        yield f"{walk.at}: no update is kept"
    for node, revision in report.agreeing.items():
        yield f"{node}: same head at revision {revision}"
    for node, why in report.unheard.items():
        yield f"{node}: not compared: {why}"
    for flaw in report.flaws:
        yield f"WRONG: {flaw}"


def _not_checked(walk: Walk) -> str:
    """What is not kept any more."""
    most = sorted(walk.not_kept.items(), key=lambda each: -each[1])
    of = "".join(f", {count} of {feed}" for feed, count in most[:NAMED])
    gone = f"{walk.not_seen} of the revisions up to {walk.kept_from}"
    return f"{walk.at} keeps {gone} no more: they were not checked{of}"


def _data(report: FsckReport) -> dict[str, Any]:
    walk = report.walk
    return {
        "walked": {
            "at": walk.at,
            "first": walk.first,
            "last": walk.last,
            "head": walk.head,
            "updates": walk.count,
            "not_checked": walk.not_seen,
            "not_kept": walk.not_kept,
        },
        "same_head_at": report.agreeing,
        "not_compared": report.unheard,
        "wrong": report.flaws,
    }
