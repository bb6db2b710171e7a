"""The member lives by the ledger: it takes updates as they come and asks for what it misses.

It follows the feeds of the components whose documents it keeps, and nothing else: without documents
nothing at all. Here what came is made so, kept and told; how is asked is in `feeds`.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from nm_agents.host.sender import Sender
from nm_agents.member import followed, hooks
from nm_agents.member.documents import Changed, Documents, KeptComponent, feeds_of
from nm_agents.member.feeds import MemberFeed, SyncQuestions
from nm_bus import codec
from nm_bus.core.ledger.follower import Alarm, Apply, Follower, Load, Move
from nm_bus.core.ledger.keys import feed_of
from nm_bus.messages import FollowedFeed, Running, Seconds, Update
from nm_bus.transport.base import Flow, Timer
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)

KEPT_WITHIN: Seconds = 1.0
"""What was applied is on disk so long after: what is forgotten until then is applied again."""

LOOK_EACH: Seconds = 45.0
"""After so long, at most, a supernode is asked for news: with a slow answer, a last update that was
lost is found within a minute."""

OWED_AGAIN: Seconds = 30.0
"""So long after a document could not be written its component is fetched again; then rarer ..."""
OWED_MOST: Seconds = 600.0
"""... up to this."""

ALARM_TOLD: Seconds = 86_400.0
"""How long a member tells that its history was not the supernodes'."""

LEDGER = "ledger"
"""The key of the troubles that are no document's."""

MOST_TOLD = 1_000
MOST_BYTES = 64 * 1024
"""How many documents are told of, and how many bytes they may take; of troubles the same."""

MOST_SAID = 1_000
"""How long a trouble's sentence may be, in characters."""

T = TypeVar("T")


class Following:
    """Follows from where its file says it was. `news` is called when there is something to tell:
    true for documents and troubles, false when only a place is another."""

    def __init__(
        self,
        path: Path,
        kept: tuple[KeptComponent, ...],
        sender: Sender,
        pauses: Callable[[Seconds, Seconds], Pauses],
        *,
        news: Callable[[bool], None],
        start_hook: hooks.StartHook = hooks.start,
    ) -> None:
        self._path, self._news = path, news
        self._transport = transport = sender.transport
        self._owed_pauses = pauses(OWED_AGAIN, OWED_MOST)
        self._followed, complaint = followed.load(path)
        if complaint:
            LOGGER.warning("%s", complaint)
        self._hooks = hooks.Hooks(transport, start_hook, self._hooking, self._hooked)
        self._looks = pauses(LOOK_EACH, LOOK_EACH)
        self._documents = Documents(kept, self._followed, self._hooks.changed)
        self._questions = SyncQuestions(sender)
        self._feeds = {
            feed: MemberFeed(
                Follower(self._followed.place(feed)), self._questions, pauses(1.0, 60.0), self._do
            )
            for feed in feeds_of(kept)
        }
        self._retry: Timer | None = None
        self._saving: Timer | None = None
        self._alarms: dict[str, str] = {}
        self._disk = ""

    @property
    def feeds(self) -> tuple[str, ...]:
        """The feeds that the member lives by."""
        return tuple(self._feeds)

    # --- its life

    def begin(self) -> None:
        """Take up what an earlier life left."""
        self._followed.keep_only(self.feeds)
        if not self._documents.begin():
            for feed in self._feeds.values():
                feed.reload()
        if self._feeds:
            self._look_now_and_then()

    def flow_changed(self, _flow: Flow) -> None:
        """The broker came or went; what is missing is asked for once the member is welcome."""
        self._questions.flow_changed()

    def welcomed(self) -> None:
        """The supernode was spoken to: from now on updates come, or it has said why they do not."""
        for feed in self._feeds.values():
            feed.reconnected()

    def took(self, update: Update) -> None:
        """An update came from the supernode."""
        feed = self._feeds.get(update.place.feed)
        if feed is not None:
            feed.took(update)

    def close(self) -> None:
        """End what runs, and keep how far it came."""
        self._hooks.stop()
        self._save()

    # --- what it tells

    @property
    def troubles(self) -> dict[str, str]:
        """What went wrong, by the documents' keys, and `ledger` for what is no document's."""
        own = "; ".join(filter(None, (*self._alarms.values(), self._disk)))
        return self._followed.troubles | ({LEDGER: own[:MOST_SAID]} if own else {})

    def running(self, incarnation: str) -> Running:
        """What this host runs, as it is reported."""
        places = [feed.place for feed in self._feeds.values()]
        feeds = tuple(FollowedFeed(p.feed, p.epoch, p.number, p.head) for p in places)
        documents = {key: held.revision for key, held in self._followed.documents.items()}
        return Running(incarnation, feeds, _bounded(documents), _bounded(self.troubles))

    def status(self) -> dict[str, object]:
        """How far it is, in numbers and in words."""
        told = self.running("")
        return {
            "state": self._in_words(),
            "feeds": [msgspec.to_builtins(feed) for feed in told.feeds],
            "behind": self._behind,
            "documents": told.documents,
            "troubles": told.troubles,
        }

    @property
    def _behind(self) -> int:
        return sum(feed.follower.behind for feed in self._feeds.values())

    def _in_words(self) -> str:
        waits = next((f": {feed.waits}" for feed in self._feeds.values() if feed.waits), "")
        if not self._feeds:
            return "keeps no documents"
        if self._behind:
            return f"behind by {self._behind}{waits}"
        if any(feed.follower.question is not None for feed in self._feeds.values()):
            return f"not known to be up to date{waits}"
        return "up to date"

    # --- asking

    def _look_now_and_then(self) -> None:
        self._transport.later(self._looks.next(), self._look_now_and_then)
        for feed in self._feeds.values():
            feed.look()

    # --- doing what is right

    def _do(self, feed: MemberFeed, moves: list[Move]) -> None:
        before = self._documents.turns
        for move in moves:
            match move:
                case Apply(update):
                    change = update.change
                    value = None if change.kind == "delete" else change.value
                    self._documents.say(change.key, value, update.revision)
                case Load():
                    self._load(feed.place.feed, move)
                case Alarm(reason):
                    self._alarmed(feed.place.feed, reason)
        self._documents.settle()
        self._retry_owed()
        self._tell(before)

    def _load(self, feed: str, page: Load) -> None:
        for entry in page.entries:
            self._documents.say(entry.key, entry.value, entry.revision)
        keys = {entry.key for entry in page.entries}
        self._documents.name(feed, keys, first=page.first, last=page.last)

    def _alarmed(self, feed: str, reason: str) -> None:
        LOGGER.error("the ledger: %s; a snapshot is asked for", reason)
        self._alarms[feed] = reason
        self._news(True)
        self._transport.later(ALARM_TOLD, partial(self._calm, feed, reason))

    def _calm(self, feed: str, reason: str) -> None:
        if self._alarms.get(feed) == reason:
            del self._alarms[feed]
            self._news(True)

    def _retry_owed(self) -> None:
        if not self._followed.owed:
            self._owed_pauses.reset()
        elif self._retry is None:
            self._retry = self._transport.later(self._owed_pauses.next(), self._fetch_owed)

    def _fetch_owed(self) -> None:
        self._retry = None
        for name in {feed_of(key) for key in self._followed.owed}:
            self._feeds[name].reload()
        self._retry_owed()

    def _hooking(self, changes: list[Changed]) -> None:
        """On disk before the hook runs, which may end the agent."""
        self._documents.hooking(change.key for change in changes)
        self._save()

    def _hooked(self, change: Changed, trouble: str) -> None:
        before = self._documents.turns
        self._documents.hooked(change.key, change.revision, trouble)
        self._tell(before)
        self._save_soon()

    # --- keeping and telling

    def _tell(self, before: int) -> None:
        """Tell and keep what is another than it was before."""
        moved = [self._followed.moved(feed.place) for feed in self._feeds.values()]
        changed = self._documents.turns != before
        if any(moved) or changed:
            self._news(changed)
            self._save_soon()

    def _save_soon(self, delay: Seconds = KEPT_WITHIN) -> None:
        if self._saving is None:
            self._saving = self._transport.later(delay, self._save)

    def _save(self) -> None:
        self._saving = None
        before = self._disk
        try:
            followed.save(self._path, self._followed)
            self._disk = ""
        except OSError as error:
            self._disk = f"{self._path} cannot be written: {error.strerror}"
            self._save_soon(OWED_AGAIN)
        if self._disk != before:
            LOGGER.warning("%s", self._disk or f"{self._path} can be written again")
            self._news(True)


def _bounded(told: dict[str, T]) -> dict[str, T]:
    """As much of it as one message may hold beside others, in the order of the keys; what is no
    document's comes first."""
    kept: dict[str, T] = {}
    room = MOST_BYTES
    for key in sorted(told, key=lambda key: (key != LEDGER, key))[:MOST_TOLD]:
        room -= codec.size_of({key: told[key]})
        if room < 0:
            break
        kept[key] = told[key]
    return kept
