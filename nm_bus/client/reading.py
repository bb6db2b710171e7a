"""Reading the ledger through the supernodes: single entries, lists in pages, how it stands."""

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from nm_bus.client.asking import MAY_PASS, Asking, Struct, good, understood
from nm_bus.client.entries import LedgerEntry, ledger_entry
from nm_bus.codes import UNKNOWN_KEY
from nm_bus.core.ledger.reading import is_whole
from nm_bus.errors import ConnectionLostError, NmBusError, RefusedError, TimedOutError
from nm_bus.messages import (
    Answer,
    ChangeId,
    FollowedFeed,
    NodeId,
    Page,
    Proposed,
    Read,
    Seconds,
    Standing,
    Update,
)

PATIENCE: Seconds = 10.0
"""How long one supernode may take to answer before the next one is asked."""

OUTCOME: Seconds = 5.0
"""How long is searched for a supernode that knows a change."""

FRESH: Seconds = 60.0
"""How old what was seen may be where a change is based on it."""

SECOND_LOOK: Seconds = 2.0
"""How long may be asked why a revision did not come in time."""


class Reading:
    """Reads, and remembers the highest revision that was seen."""

    def __init__(self, asking: Asking, timeout: Seconds) -> None:
        self._asking, self._timeout = asking, timeout
        self.seen = 0
        self._seen_at = float("-inf")
        self.past_from = 1
        """The revision from which on the updates that were read last are whole."""
        self.past_kept_by: tuple[NodeId, ...] = ()
        """Who keeps more of them, as those that were asked say."""

    def saw(self, revision: int) -> None:
        """This revision was heard of."""
        self.seen, self._seen_at = max(self.seen, revision), time.monotonic()

    def base(self, timeout: Seconds) -> int:
        """The revision on which a new change is based: one that was seen a moment ago, or the last
        one where nobody answers. Supernodes refuse what is based on one from before the changes
        that they have forgotten."""
        if time.monotonic() - self._seen_at > FRESH:
            with suppress(*MAY_PASS):
                self.saw(self._answer(Read("ledger"), Standing, timeout).revision)
        return self.seen

    def page(self, question: Read) -> Page:
        """The answer to a question that has pages."""
        page = self._answer(question, Page)
        self.saw(page.revision)
        return page

    def _past(self, question: Read) -> Page:
        """A page of updates: from the next supernode, where one that joined later, or has cleared
        up, does not have them all; else from the one that has the most."""
        found = self.page(question)
        if not is_whole(question, found):
            judge = partial(_read, replace(question, at_least=found.revision), Page)
            for other in self._asking.each(question, judge, patience=PATIENCE):
                if other.kept_from < found.kept_from:
                    found = other
                if is_whole(question, other):
                    break
        whole = is_whole(question, found)
        self.past_from = 1 if whole else found.kept_from + 1
        self.past_kept_by = () if whole else found.kept_by
        return found

    def _answer(self, question: Read, kind: type[Struct], timeout: Seconds | None = None) -> Struct:
        return self._asking.settled(
            question,
            partial(_read, question, kind),
            timeout=self._timeout if timeout is None else timeout,
            patience=PATIENCE,
        )

    def place(self, feed: str, since: int | None) -> FollowedFeed | None:
        """Where a feed is now, or was after a revision; None where nobody asked knows any more."""
        question = Read("place", feed, newest_first=since is None)
        if since is not None:
            question = replace(question, since=since, at_least=since)
        return self.page(question).place

    def entry(self, key: str, *, at_least: int, agreed: bool) -> LedgerEntry | None:
        """One entry, or None."""
        try:
            page = self.page(Read("entry", key, at_least=at_least, agreed=agreed))
        except RefusedError as error:
            if error.code == UNKNOWN_KEY:
                return None
            raise
        return ledger_entry(page.entries[0]) if page.entries else None

    def entries(self, prefix: str, *, at_least: int, agreed: bool) -> Iterator[LedgerEntry]:
        """All entries under a prefix. Later pages are of no older state than the first."""
        page = self.page(Read("entries", prefix, at_least=at_least, agreed=agreed))
        yield from map(ledger_entry, page.entries)
        while page.more and page.entries:
            after = page.entries[-1].key
            page = self.page(Read("entries", prefix, after, at_least=page.revision))
            yield from map(ledger_entry, page.entries)

    def updates_of(self, key: str, *, since: int, without_locks: bool) -> Iterator[Update]:
        """Past updates, oldest first."""
        question = Read("updates", key, since=since, without_locks=without_locks)
        page = self._past(question)
        yield from page.updates
        while page.more and page.updates:
            last = page.updates[-1].revision
            page = self._past(replace(question, since=last, at_least=page.revision))
            yield from page.updates

    def history(self, key: str, *, before: int, without_locks: bool) -> Iterator[Update]:
        """Past updates, newest first."""
        question = Read("updates", key, since=before, newest_first=True)
        question = replace(question, without_locks=without_locks)
        page = self._past(question)
        yield from page.updates
        while page.more and page.updates and page.updates[-1].revision > 1:
            page = self._past(replace(question, since=page.updates[-1].revision))
            yield from page.updates

    def revision(self, number: int) -> Update | None:
        """One revision, of the first supernode that has it."""
        question = Read("updates", since=number - 1, limit=1)
        found = self.page(question)
        if not _is_of(found, number) and number <= found.kept_from:
            judge = partial(_read, question, Page)
            others = self._asking.each(question, judge, patience=PATIENCE)
            found = next((other for other in others if _is_of(other, number)), found)
        has_it = _is_of(found, number)
        self.past_from = 1 if has_it else found.kept_from + 1
        self.past_kept_by = () if has_it else found.kept_by
        return found.updates[0] if has_it else None

    def standing(self) -> Standing:
        """How the ledger stands at a supernode that answers."""
        standing = self._answer(Read("ledger"), Standing)
        self.saw(standing.revision)
        return standing

    def applied(self, revision: int, timeout: Seconds | None) -> Standing:
        """How it stands at a supernode that has applied a revision.

        Raises TimedOutError, which tells whether the revision is not there or no answer.
        """
        try:
            return self._answer(Read("ledger", at_least=revision), Standing, timeout)
        except MAY_PASS as error:
            raise self._not_there(revision, error) from None

    def _not_there(self, revision: int, error: NmBusError) -> NmBusError:
        """A supernode keeps such a question until it has the revision: so ask for what there is."""
        try:
            newest = self._answer(Read("ledger"), Standing, SECOND_LOOK).revision
        except NmBusError:
            return error
        if newest >= revision:
            return error
        return TimedOutError(f"revision {revision} is not there yet: {newest} is the newest one")

    def outcome(self, id: ChangeId) -> Proposed | None:
        """What became of a change, as the first supernode says that knows it; None: none does."""
        strangers: set[NodeId] = set()
        judge = partial(_outcome, strangers, self._asking.count)
        try:
            return self._asking.settled(
                Read("answer", id), judge, timeout=min(OUTCOME, self._timeout), patience=PATIENCE
            )
        except MAY_PASS:
            if strangers:
                return None
            raise


def _is_of(page: Page, revision: int) -> bool:
    return bool(page.updates) and page.updates[0].revision == revision


def _outcome(
    strangers: set[NodeId], count: int, answer: Answer, supernode: NodeId
) -> Proposed | None:
    """Who does not know it is passed over: the change may wait at one supernode alone."""
    if answer.code != UNKNOWN_KEY:
        return understood(good(answer, supernode).data, Proposed)
    strangers.add(supernode)
    if len(strangers) == count:
        return None
    raise ConnectionLostError(answer.error or f"{supernode} does not know the change")


def _read(question: Read, kind: type[Struct], answer: Answer, supernode: NodeId) -> Struct:
    found = understood(good(answer, supernode).data, kind)
    revision = getattr(found, "revision", question.at_least)
    if revision < question.at_least:
        raise TimedOutError(
            f"{supernode} has applied revision {revision}, not yet {question.at_least}; try again"
        )
    return found
