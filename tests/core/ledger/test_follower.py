"""The rule of who follows: every revision once and in order, whatever comes, and never back."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.ledger.follower import (
    BEYOND,
    NOWHERE,
    Alarm,
    Apply,
    Follower,
    Load,
    Move,
    Place,
    Wait,
)
from nm_bus.core.ledger.keys import feed_of
from nm_bus.messages import Entry, Sync, Synced, Update
from nm_lab.samples.history import History


def history(revisions: int, *, epoch: int = 1, keys: int = 4, note: str = "") -> History:
    made = History(epoch)
    for number in range(1, revisions + 1):
        key = f"config/c/{number % keys}"
        if number % 5 == 0:
            made.delete(key)
        else:
            made.set(key, f"{note}{number}")
    return made


def at(made: History, revision: int) -> Follower:
    return Follower(Place(made.epoch, revision, made.head(revision)))


def applied(moves: list[Move]) -> list[int]:
    return [move.update.revision for move in moves if isinstance(move, Apply)]


def ask(follower: Follower, made: History, height: int | None = None) -> list[Move]:
    question = follower.question
    assert question is not None
    return follower.answered(question, made.answer(question, height))


def settled(made: History, revision: int) -> Follower:
    follower = at(made, revision)
    ask(follower, made, revision)
    assert follower.question is None
    return follower


# --- updates


def test_the_next_revision_is_applied() -> None:
    made = history(3)
    follower = settled(made, 2)
    assert applied(follower.take(made.updates[2])) == [3]
    assert follower.place == Place(1, 3, made.head(3))
    assert follower.question is None


def test_what_is_not_newer_is_dropped() -> None:
    made = history(3)
    follower = settled(made, 3)
    assert follower.take(made.updates[2]) == follower.take(made.updates[0]) == []
    assert follower.question is None


def test_beyond_a_gap_it_waits_and_asks_for_what_is_missing() -> None:
    made = history(5)
    follower = settled(made, 2)
    assert follower.take(made.updates[4]) == []
    assert follower.behind == 3
    assert follower.question == Sync(1, 2, made.head(2))
    assert applied(follower.take(made.updates[3])) == []
    assert applied(follower.take(made.updates[2])) == [3, 4, 5]
    assert follower.question is None


def test_what_is_kept_beyond_a_gap_has_a_bound() -> None:
    made = history(BEYOND + 3)
    follower = settled(made, 0)
    for update in made.updates[1:]:
        assert follower.take(update) == []
    assert applied(follower.take(made.updates[0])) == list(range(1, BEYOND + 1))
    assert follower.behind == 3
    assert follower.question is not None


def test_another_supernode_is_asked_at_once() -> None:
    made = history(3)
    follower = settled(made, 3)
    follower.reconnected()
    assert follower.question == Sync(1, 3, made.head(3))


def test_missing_updates_come_in_pages() -> None:
    made = history(8)
    follower = at(made, 1)
    assert applied(ask(follower, made)) == [2, 3, 4]
    assert follower.behind == 4
    assert applied(ask(follower, made)) == [5, 6, 7]
    assert applied(ask(follower, made)) == [8]
    assert follower.question is None


def test_an_update_of_an_older_epoch_is_dropped() -> None:
    made = history(3, epoch=2)
    follower = settled(made, 3)
    assert follower.take(history(4, epoch=1).updates[3]) == []
    assert follower.question is None


def test_an_update_of_a_newer_epoch_makes_it_ask() -> None:
    made = history(3)
    follower = settled(made, 3)
    assert follower.take(history(4, epoch=2).updates[3]) == []
    assert follower.question == Sync(1, 3, made.head(3))


def test_a_place_whose_head_is_not_known_believes_the_next_update() -> None:
    made = history(3)
    follower = Follower(Place(1, 2, ""))
    assert applied(follower.take(made.updates[2])) == [3]
    assert follower.place.head == made.head(3)


# --- one feed


MIXED = ("config/c/a", "member/m1", "config/d/a", "lock/l", "config/c/b", "session/anna/s")


def mixed(revisions: int = 30) -> History:
    """Several feeds, one after the other."""
    made = History()
    for number in range(revisions):
        key = MIXED[number % len(MIXED)]
        if number // len(MIXED) % 3 == 2:
            made.delete(key)
        else:
            made.set(key, str(number))
    return made


def in_feed(made: History, feed: str, number: int, height: int | None = None) -> Follower:
    """Settled there, with a supernode that has nothing more."""
    follower = Follower(made.place(feed, number))
    line = made.feed(feed)
    top = line[number - 1].revision if number else 0
    ask(follower, made, top if height is None else height)
    assert follower.question is None
    return follower


def test_of_a_feed_the_next_number_is_applied_whatever_came_in_others() -> None:
    made = mixed()
    follower = in_feed(made, "config/c", 2)
    assert made.feed("config/c")[2].revision == 7
    taken = [follower.take(update) for update in made.updates]
    assert [m.update.place.number for moves in taken for m in moves if isinstance(m, Apply)] == (
        list(range(3, 11))
    )
    assert follower.place == made.place("config/c", 10)
    assert follower.question is None


def test_what_another_feed_brings_is_no_reason_to_ask() -> None:
    made = mixed()
    follower = in_feed(made, "config/c", 2)
    newer = msgspec.structs.replace(made.updates[2], epoch=7)
    assert follower.take(made.updates[29]) == follower.take(newer) == []
    assert follower.question is None


def test_a_gap_in_a_feed_is_asked_for_in_that_feed() -> None:
    made = mixed()
    follower = in_feed(made, "lock", 2)
    line = made.feed("lock")
    follower.take(line[4])
    assert follower.behind == 3
    assert follower.question == Sync(1, 2, line[1].place.head, None, "lock")
    assert applied(ask(follower, made)) == [line[2].revision, line[3].revision, line[4].revision]


@pytest.mark.parametrize("start", [Place(feed="config/none"), Place(1, feed="config/none")])
def test_a_feed_that_was_never_written_is_settled_and_nothing_is_missing(start: Place) -> None:
    made = mixed()
    follower = Follower(start)
    moves = [move for _ in range(3) if follower.question for move in ask(follower, made)]
    assert not any(isinstance(move, Alarm | Wait) for move in moves)
    assert follower.question is None
    assert follower.place == Place(1, 0, "0" * 64, "config/none")
    follower.reconnected()
    assert ask(follower, made) == []
    first = made.set("config/none/a")
    assert follower.take(first) == [Apply(first)]


def test_who_has_nothing_of_a_feed_is_in_no_other_history_when_an_epoch_begins() -> None:
    later = mixed()
    later.epoch = 2
    follower = Follower(Place(1, feed="config/none"))
    (load,) = ask(follower, later)
    assert load == Load((), first=True, last=True, at=30)
    ask(follower, later)
    assert follower.place == Place(2, feed="config/none")
    assert follower.question is None


def test_a_snapshot_of_a_feed_leads_to_its_place_and_says_at_which_revision() -> None:
    made = mixed(11)
    made.page = 1
    follower = Follower(Place(feed="lock"))
    loads = [move for _ in range(4) if follower.question for move in ask(follower, made)]
    assert [e.key for m in loads if isinstance(m, Load) for e in m.entries] == [
        "lock/l",
        "session/anna/s",
    ]
    assert {m.at for m in loads if isinstance(m, Load)} == {11}
    assert follower.place == made.place("lock", 3)


def test_an_answer_about_another_feed_counts_for_nothing() -> None:
    made = mixed()
    follower = Follower(made.place("config/c", 1))
    question = Sync(1, 0, "0" * 64, None, "config/d")
    assert follower.answered(question, made.answer(question)) == []
    assert follower.place == made.place("config/c", 1)


# --- a supernode that is behind


@pytest.mark.parametrize("loading", [False, True])
def test_a_supernode_that_is_behind_never_rolls_it_back(loading: bool) -> None:
    made = history(5)
    follower = settled(made, 5)
    if loading:
        follower.take(msgspec.structs.replace(made.set("config/c/x"), head="0" * 64))
    follower.reconnected()
    moves = ask(follower, made, 2)
    assert [type(move) for move in moves] == [Wait]
    assert follower.place.number == 5
    assert follower.question is not None


def test_a_supernode_of_an_older_epoch_is_behind() -> None:
    made = history(2, epoch=2)
    follower = at(made, 2)
    moves = ask(follower, history(9, epoch=1))
    assert [type(move) for move in moves] == [Wait]
    assert follower.place == Place(2, 2, made.head(2))


def test_an_answer_that_is_overtaken_by_updates_is_no_lag() -> None:
    made = history(4)
    follower = at(made, 2)
    question = follower.question
    assert question is not None
    answer = made.answer(question, 3)
    follower.take(made.updates[2])
    follower.take(made.updates[3])
    assert follower.answered(question, answer) == []
    assert follower.question is None


# --- another history


def forked(made: History, at_revision: int) -> History:
    other = History(made.epoch, updates=made.updates[:at_revision])
    while other.revision < made.revision + 1:
        other.set("config/c/other", str(other.revision))
    return other


def test_an_update_that_does_not_follow_raises_an_alarm_and_is_not_applied() -> None:
    made = history(3)
    follower = settled(made, 3)
    moves = follower.take(forked(made, 1).updates[3])
    assert [type(move) for move in moves] == [Alarm]
    assert follower.place.number == 3
    assert follower.question == Sync(1, 3, made.head(3), "")


def test_an_update_with_a_wrong_hash_raises_an_alarm_and_is_not_applied() -> None:
    made = history(4)
    follower = settled(made, 3)
    wrong = msgspec.structs.replace(made.updates[3], head=made.head(2))
    assert [type(move) for move in follower.take(wrong)] == [Alarm]
    assert follower.take(made.updates[3]) == []
    assert follower.place.number == 3


def test_the_same_revision_with_another_head_is_found_at_once() -> None:
    made = history(3)
    other = forked(made, 1)
    follower = Follower(Place(1, 3, other.head(3)))
    question = follower.question
    assert question is not None
    answer = Synced("updates", 1, 3, made.head(3), 3)
    assert [type(move) for move in follower.answered(question, answer)] == [Alarm]


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_reset_raises_one_alarm_and_is_mended_by_a_snapshot(epoch: int) -> None:
    made = history(9)
    follower = at(made, 7)
    other = forked(made, 2) if epoch == 1 else history(4, epoch=2)
    moves = [move for _ in range(8) if follower.question for move in ask(follower, other)]
    assert len([move for move in moves if isinstance(move, Alarm)]) == 1
    assert follower.place == Place(epoch, other.revision, other.head(other.revision))
    assert follower.question is None


def test_who_has_nothing_begins_with_a_snapshot_and_raises_no_alarm() -> None:
    made = history(9)
    follower = Follower()
    assert follower.question == Sync(0, 0, NOWHERE.head, "")
    moves = [move for _ in range(8) if follower.question for move in ask(follower, made)]
    assert {type(move) for move in moves} == {Load}
    assert follower.place == Place(1, 9, made.head(9))


# --- snapshots


def test_entries_may_be_newer_than_the_place_that_the_snapshot_leads_to() -> None:
    made = history(9)
    made.page = 2
    follower = Follower()
    first = ask(follower, made, 6)
    assert isinstance(first[0], Load)
    assert first[0].first
    assert not first[0].last
    ask(follower, made, 9)
    assert follower.place == Place(1, 6, made.head(6))
    assert applied(ask(follower, made)) + applied(ask(follower, made)) == [7, 8, 9]


def test_a_page_from_a_supernode_that_is_behind_the_snapshot_is_not_taken() -> None:
    made = history(9)
    made.page = 2
    follower = Follower()
    ask(follower, made, 9)
    question = follower.question
    assert [type(move) for move in ask(follower, made, 6)] == [Wait]
    assert follower.question == question


def test_each_supernode_is_asked_for_a_snapshot_from_its_first_page_on() -> None:
    made = history(9)
    made.page = 2
    follower = Follower()
    ask(follower, made, 9)
    assert follower.question == Sync(1, 9, made.head(9), "config/c/1")
    follower.reconnected()
    assert follower.question == Sync(0, 0, NOWHERE.head, "")


def test_a_snapshot_can_be_taken_though_nothing_is_wrong() -> None:
    made = history(9)
    follower = settled(made, 9)
    follower.reload()
    assert follower.question == Sync(1, 9, made.head(9), "")
    moves = [move for _ in range(4) if follower.question for move in ask(follower, made)]
    assert {type(move) for move in moves} == {Load}
    assert follower.place == Place(1, 9, made.head(9))


def test_a_page_that_was_not_asked_for_is_not_taken() -> None:
    made = history(9)
    made.page = 2
    follower = Follower()
    question = follower.question
    assert question is not None
    answer = made.answer(question)
    follower.answered(question, answer)
    assert [type(move) for move in follower.answered(question, answer)] == [Wait]


def test_an_answer_of_another_kind_is_waited_out() -> None:
    made = history(2)
    follower = at(made, 2)
    question = follower.question
    assert question is not None
    moves = follower.answered(question, Synced("yes", 1, 2, made.head(2), 2))
    assert [type(move) for move in moves] == [Wait]


# --- any order, duplicates, losses, several supernodes that lag


@dataclass
class Reader:
    """Does what it is told to, and keeps what came of it."""

    follower: Follower
    places: list[Place] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    state: dict[str, Entry] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)

    def did(self, moves: list[Move]) -> None:
        for move in moves:
            match move:
                case Apply(update):
                    self.numbers.append(self.follower.place.after(update).number)
                    self._apply(update)
                case Load(entries, first, last):
                    self._load(entries, first=first, last=last)
                    if last:
                        leads_to = self.follower.place.number - len(applied(moves))
                        self.numbers = list(range(1, leads_to + 1))
        self.places.append(self.follower.place)

    def _apply(self, update: Update) -> None:
        change = update.change
        held = self.state.get(change.key)
        if held is not None and held.revision >= update.revision:
            return
        self.state.pop(change.key, None)
        if change.value is not None:
            number, time = update.revision, update.time
            self.state[change.key] = Entry(change.key, change.value, number, change.actor, time)

    def _load(self, entries: tuple[Entry, ...], *, first: bool, last: bool) -> None:
        if first:
            self.named = set()
        self.state |= {entry.key: entry for entry in entries}
        self.named |= {entry.key for entry in entries}
        if last:
            self.state = {key: entry for key, entry in self.state.items() if key in self.named}


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["update", "update", "update", "ask", "late", "reconnect"]),
        st.integers(0, 29),
        st.integers(0, 30),
    ),
    max_size=60,
)
FEEDS = ("", "config/c", "lock", "member", "config/none")


def driven(
    steps: list[Step],
    *,
    feed: str,
    start: int | None,
    kept: int,
    follow: Callable[[Place], Follower],
) -> tuple[Reader, History]:
    """A reader after any such steps, and then after a quiet while with one supernode."""
    made = mixed()
    made.kept = kept
    place = Place(feed=feed)
    if start is not None:
        place = made.place(feed, min(start, len(made.feed(feed))))
    reader = Reader(follow(place))
    line = made.feed(feed)
    reader.state = in_the_feed(made, feed, line[place.number - 1].revision if place.number else 0)
    reader.numbers = list(range(1, place.number + 1))
    late: list[tuple[Sync, Synced]] = []
    for what, number, height in steps:
        question = reader.follower.question
        if what == "update":
            reader.did(reader.follower.take(made.updates[number]))
        elif what == "reconnect":
            reader.follower.reconnected()
        elif what == "late" and late:
            reader.did(reader.follower.answered(*late[number % len(late)]))
        elif question is not None:
            late.append((question, made.answer(question, height)))
            if number % 3:
                reader.did(reader.follower.answered(*late[-1]))
    _quiet(reader, made)
    return reader, made


def in_the_feed(made: History, feed: str, revision: int) -> dict[str, Entry]:
    entries = made.entries(revision).items()
    return {key: entry for key, entry in entries if feed in ("", feed_of(key))}


def _quiet(reader: Reader, made: History) -> None:
    reader.follower.reconnected()
    for _ in range(60):
        question = reader.follower.question
        if question is None:
            return
        reader.did(reader.follower.answered(question, made.answer(question)))


def check(reader: Reader, made: History) -> None:
    feed = reader.follower.place.feed
    last = len(made.feed(feed))
    numbers = [place.number for place in reader.places]
    assert numbers == sorted(numbers), "it went back"
    assert reader.numbers == list(range(1, last + 1)), "not every number once and in order"
    assert reader.state == in_the_feed(made, feed, 30)
    assert reader.follower.place == made.place(feed, last)
    assert reader.follower.question is None


@pytest.mark.parametrize("feed", FEEDS)
@given(steps=STEPS, start=st.none() | st.integers(0, 30), kept=st.sampled_from([1, 15]))
def test_every_update_is_applied_once_and_in_order_whatever_comes(
    feed: str, steps: list[Step], start: int | None, kept: int
) -> None:
    check(*driven(steps, feed=feed, start=start, kept=kept, follow=Follower))


# --- planted bugs: each of these followers breaks one promise, and is caught

Follow = Callable[[Place], Follower]
LINE = "config/c"


def never_skips_or_goes_back(follow: Follow, feed: str) -> None:
    lost = {"": 1, LINE: 4}[feed]
    steps = [("ask", 1, 0)] + [("update", n, 0) for n in range(1, 30) if n != lost]
    check(*driven([*steps, ("reconnect", 0, 0)], feed=feed, start=1, kept=1, follow=follow))


def refuses(follow: Follow, feed: str, wrong: Callable[[Update, History], Update]) -> None:
    made = mixed()
    follower = follow(made.place(feed, 2))
    ask(follower, made, made.feed(feed)[1].revision)
    moves = follower.take(wrong(made.feed(feed)[2], made))
    assert [type(move) for move in moves] == [Alarm]
    assert follower.place == made.place(feed, 2)


def _of_a_fork(update: Update, made: History) -> Update:
    """The same number of another history, whose hashes are right."""
    other = History(made.epoch)
    for each in made.updates[: update.revision]:
        other.set(each.change.key, "another")
    return other.updates[update.revision - 1]


def _forged(update: Update, _: History) -> Update:
    """Says something else, and has the hash of its feed computed again."""
    change = msgspec.structs.replace(update.change, value={"content": "forged"})
    return msgspec.structs.replace(update, change=change)


def _with_a_wrong_feed_head(update: Update, _: History) -> Update:
    return msgspec.structs.replace(
        update, place=msgspec.structs.replace(update.place, head="ab" * 32)
    )


def keeps_to_its_history(follow: Follow, feed: str) -> None:
    refuses(follow, feed, _of_a_fork)


def believes_no_content_without_its_hash(follow: Follow, feed: str) -> None:
    refuses(follow, feed, _forged)


def believes_no_head_of_a_feed_without_its_hash(follow: Follow, feed: str) -> None:
    refuses(follow, feed, _with_a_wrong_feed_head)


def takes_no_other_feeds_updates(follow: Follow, feed: str) -> None:
    """Both begin alike: the head of a feed does not name it."""
    made = mixed()
    start = Place(1, feed="config/none" if feed else "record")
    follower = follow(start)
    ask(follower, made)
    assert follower.take(made.feed(LINE)[0]) == []
    assert follower.place == start


def asks_before_it_says_that_nothing_is_missing(follow: Follow, feed: str) -> None:
    assert follow(mixed().place(feed, 2)).question is not None


Promise = Callable[[Follow, str], None]
PROMISES: tuple[Promise, ...] = (
    never_skips_or_goes_back,
    keeps_to_its_history,
    believes_no_content_without_its_hash,
    believes_no_head_of_a_feed_without_its_hash,
    takes_no_other_feeds_updates,
    asks_before_it_says_that_nothing_is_missing,
)


@pytest.mark.parametrize("feed", ["", LINE])
@pytest.mark.parametrize("promise", PROMISES)
def test_the_follower_keeps(promise: Promise, feed: str) -> None:
    promise(Follower, feed)


class AppliesAnythingNewer(Follower):
    """No rule of the next number."""

    def take(self, update: Update) -> list[Move]:
        after = self.place.after(update)
        if after.number <= self.place.number or self.place.feed not in ("", update.place.feed):
            return []
        self.place = after
        return [Apply(update)]


class SkipsOne(Follower):
    """What comes two numbers on is the next one."""

    def take(self, update: Update) -> list[Move]:
        after = self.place.after(update)
        if self.place.feed in ("", update.place.feed) and after.number == self.place.number + 2:
            self.place = after
            return [Apply(update)]
        return super().take(update)


class RollsBack(Follower):
    """Whatever a supernode says it has is believed."""

    def answered(self, question: Sync, answer: Synced) -> list[Move]:
        if answer.state == "lag":
            self.place = self.place.moved(answer.epoch, answer.number, answer.head)
        return super().answered(question, answer)


class ComparesNoPrevious(Follower):
    """The head so far is not compared."""

    def _flaw(self, update: Update) -> str:
        flaw = super()._flaw(update)
        return "" if flaw.endswith("does not follow the one before it") else flaw


class ComputesNoHead(Follower):
    """The whole's hash is not computed."""

    def _flaw(self, update: Update) -> str:
        flaw = super()._flaw(update)
        return "" if flaw == f"the hash of revision {update.revision} is not right" else flaw


class ComputesNoFeedHead(Follower):
    """The feed's hash is not computed."""

    def _flaw(self, update: Update) -> str:
        flaw = super()._flaw(update)
        return "" if flaw.endswith("in its feed is not right") else flaw


class TakesAnyFeed(Follower):
    """The feed of an update is not looked at."""

    def take(self, update: Update) -> list[Move]:
        named = msgspec.structs.replace(update.place, feed=self.place.feed or "c")
        return super().take(msgspec.structs.replace(update, place=named))


class SettlesUnasked(Follower):
    """Where it was is believed to be where all is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._settled = True


@pytest.mark.parametrize("feed", ["", LINE])
@pytest.mark.parametrize(
    ("planted", "broken"),
    [
        (AppliesAnythingNewer, never_skips_or_goes_back),
        (SkipsOne, never_skips_or_goes_back),
        (RollsBack, never_skips_or_goes_back),
        (ComparesNoPrevious, keeps_to_its_history),
        (ComputesNoHead, believes_no_content_without_its_hash),
        (ComputesNoFeedHead, believes_no_head_of_a_feed_without_its_hash),
        (TakesAnyFeed, takes_no_other_feeds_updates),
        (SettlesUnasked, asks_before_it_says_that_nothing_is_missing),
    ],
)
def test_a_planted_bug_is_caught(planted: Follow, broken: Promise, feed: str) -> None:
    with pytest.raises(AssertionError):
        broken(planted, feed)
