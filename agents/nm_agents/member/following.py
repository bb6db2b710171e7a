"""The member lives by the ledger: it takes updates as they come and asks for what it misses.

What is right is decided in `nm_bus.core.ledger.follower`; here it is asked, waited, kept and told.
A member without documents follows as well: so its home can see how far it is.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from nm_agents.host.sender import Sender
from nm_agents.member import followed, hooks
from nm_agents.member.documents import Changed, Documents, KeptComponent
from nm_bus import codec
from nm_bus.core.ledger.follower import Alarm, Apply, Follower, Load, Move, Wait
from nm_bus.identity.role import MEMBER
from nm_bus.messages import (
    Answer,
    Entry,
    Event,
    Running,
    Seconds,
    Sync,
    Synced,
    Update,
)
from nm_bus.topology import PEER_BYTES, request_exchange, request_key
from nm_bus.transport.base import Delivery, Flow, Outgoing, Timer
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)

ANSWER_WITHIN: Seconds = 10.0
"""How long the supernode may take to answer a sync."""

KEPT_WITHIN: Seconds = 1.0
"""What was applied is on disk so long after: what is forgotten until then is applied again."""

LOOK_EACH: Seconds = 60.0
"""How often, at most, a supernode is asked for news when none came."""

OWED_AGAIN: Seconds = 30.0
"""So long after a document could not be written all documents are fetched again; then rarer ..."""
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
    true for documents and troubles, false when only the revision is another."""

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
        self._path, self._sender, self._news = path, sender, news
        self._transport = transport = sender.transport
        self._pauses = pauses(1.0, 60.0)
        self._owed_pauses = pauses(OWED_AGAIN, OWED_MOST)
        self._followed, complaint = followed.load(path)
        if complaint:
            LOGGER.warning("%s", complaint)
        self._hooks = hooks.Hooks(transport, start_hook, self._hooking, self._hooked)
        self._looks = pauses(LOOK_EACH, LOOK_EACH)
        self._documents = Documents(kept, self._followed, self._hooks.changed)
        self._follower = Follower(self._followed.place)
        self._connection = 0
        self._asking = False
        self._again: Timer | None = None
        self._retry: Timer | None = None
        self._saving: Timer | None = None
        self._waits = self._alarm = self._disk = ""

    # --- its life

    def begin(self) -> None:
        """Take up what an earlier life left."""
        if not self._documents.begin():
            self._follower.reload()
        self._look_now_and_then()

    def flow_changed(self, flow: Flow) -> None:
        """The broker came or went; whoever answers now may know more, or less."""
        self._connection += 1
        self._asking = False
        self._pauses.reset()
        self._forget_pause()
        if flow is Flow.UP:
            self._follower.reconnected()
            self._ask()

    def took(self, update: Update) -> None:
        """An update came from the supernode."""
        self._do(self._follower.take(update))
        if self._again is None:
            self._ask()

    def close(self) -> None:
        """End what runs, and keep how far it came."""
        self._hooks.stop()
        self._save()

    # --- what it tells

    @property
    def troubles(self) -> dict[str, str]:
        """What went wrong, by the documents' keys, and `ledger` for what is no document's."""
        own = "; ".join(filter(None, (self._alarm, self._disk)))
        return self._followed.troubles | ({LEDGER: own[:MOST_SAID]} if own else {})

    def running(self, incarnation: str) -> Running:
        """What this host runs, as it is reported."""
        place = self._follower.place
        documents = {key: held.revision for key, held in self._followed.documents.items()}
        return Running(
            incarnation,
            place.epoch,
            place.number,
            place.head,
            _bounded(documents),
            _bounded(self.troubles),
        )

    def status(self) -> dict[str, object]:
        """How far it is, in numbers and in words."""
        told = self.running("")
        return {
            "state": self._in_words(),
            "epoch": told.epoch,
            "revision": told.revision,
            "head": told.head,
            "behind": self._follower.behind,
            "documents": told.documents,
            "troubles": told.troubles,
        }

    def _in_words(self) -> str:
        waits = f": {self._waits}" if self._waits else ""
        if self._follower.behind:
            return f"behind by {self._follower.behind}{waits}"
        if self._follower.question is not None:
            return f"not known to be up to date{waits}"
        return "up to date"

    # --- asking

    def _look_now_and_then(self) -> None:
        """The last update before a silence may be lost, which no later one shows."""
        self._transport.later(self._looks.next(), self._look_now_and_then)
        if self._follower.question is None:
            self._follower.reconnected()
            self._ask()

    def _ask(self) -> None:
        question = self._follower.question
        if question is None or self._asking or self._transport.status.flow is not Flow.UP:
            return
        self._asking = True
        exchange, key = request_exchange(MEMBER), request_key(question)
        message = Outgoing(exchange, key, self._sender.encoded(question))
        answered = partial(self._answered, self._connection, question)
        self._transport.request(message, answered, timeout=ANSWER_WITHIN)

    def _answered(self, connection: int, question: Sync, answer: Delivery | None) -> None:
        if connection != self._connection:
            return
        self._asking = False
        synced = read_answer(answer)
        if isinstance(synced, str):
            moves: list[Move] = [Wait(synced)]
        else:
            moves = self._follower.answered(question, synced)
        self._do(moves)
        if any(isinstance(move, Apply | Load) for move in moves):
            self._pauses.reset()
            self._ask()
        elif self._follower.question is not None:
            self._forget_pause()
            self._again = self._transport.later(self._pauses.next(), self._ask_again)

    def _ask_again(self) -> None:
        self._again = None
        self._ask()

    def _forget_pause(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    # --- doing what is right

    def _do(self, moves: list[Move]) -> None:
        before = self._documents.turns
        for move in moves:
            match move:
                case Apply(update):
                    change = update.change
                    value = None if change.kind == "delete" else change.value
                    self._documents.say(change.key, value, update.revision)
                case Load(entries, first, last):
                    self._load(entries, first=first, last=last)
                case Wait(reason):
                    self._wait(reason)
                case Alarm(reason):
                    LOGGER.error("the ledger: %s; a snapshot is asked for", reason)
                    self._alarm = reason
                    self._news(True)
                    self._transport.later(ALARM_TOLD, partial(self._calm, reason))
        if not moves or isinstance(moves[-1], Apply | Load):
            self._wait("")
        self._documents.settle()
        self._retry_owed()
        self._tell(before)

    def _load(self, entries: tuple[Entry, ...], *, first: bool, last: bool) -> None:
        for entry in entries:
            self._documents.say(entry.key, entry.value, entry.revision)
        self._documents.name({entry.key for entry in entries}, first=first, last=last)

    def _wait(self, reason: str) -> None:
        if reason and reason != self._waits:
            LOGGER.warning("the ledger: %s; it is asked again until it answers", reason)
        elif self._waits and not reason:
            LOGGER.info("the ledger: the supernode answers again")
        self._waits = reason

    def _calm(self, reason: str) -> None:
        if self._alarm == reason:
            self._alarm = ""
            self._news(True)

    def _retry_owed(self) -> None:
        if not self._followed.owed:
            self._owed_pauses.reset()
        elif self._retry is None:
            self._retry = self._transport.later(self._owed_pauses.next(), self._fetch_owed)

    def _fetch_owed(self) -> None:
        self._retry = None
        if self._followed.owed:
            self._follower.reload()
            self._ask()
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
        moved = self._followed.place != self._follower.place
        self._followed.moved(self._follower.place)
        changed = self._documents.turns != before
        if moved or changed:
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


def read_answer(answer: Delivery | None) -> Synced | str:
    """What a supernode answered to a sync, or why there is no answer, in words."""
    if answer is None:
        return "the supernode does not answer"
    event = codec.read(answer.body, Answer, limit=PEER_BYTES)
    if not isinstance(event, Event):
        return f"the supernode's answer cannot be read: {event.detail}"
    if not event.data.ok:
        return event.data.error or event.data.code
    try:
        return msgspec.convert(event.data.data, Synced)
    except msgspec.ValidationError as error:
        return f"the supernode's answer cannot be read: {error}"


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
