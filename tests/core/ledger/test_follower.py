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
    assert follower.place.revision == 5
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
    assert follower.place.revision == 3
    assert follower.question == Sync(1, 3, made.head(3), "")


def test_an_update_with_a_wrong_hash_raises_an_alarm_and_is_not_applied() -> None:
    made = history(4)
    follower = settled(made, 3)
    wrong = msgspec.structs.replace(made.updates[3], head=made.head(2))
    assert [type(move) for move in follower.take(wrong)] == [Alarm]
    assert follower.take(made.updates[3]) == []
    assert follower.place.revision == 3


def test_the_same_revision_with_another_head_is_found_at_once() -> None:
    made = history(3)
    other = forked(made, 1)
    follower = Follower(Place(1, 3, other.head(3)))
    question = follower.question
    assert question is not None
    answer = Synced("updates", 1, 3, made.head(3))
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
    moves = follower.answered(question, Synced("yes", 1, 2, made.head(2)))
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
                    self.numbers.append(update.revision)
                    self._apply(update)
                case Load(entries, first, last):
                    self._load(entries, first=first, last=last)
                    if last:
                        leads_to = self.follower.place.revision - len(applied(moves))
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


def driven(
    steps: list[Step], *, start: int | None, kept: int, follow: Callable[[Place], Follower]
) -> tuple[Reader, History]:
    """A reader after any such steps, and then after a quiet while with one supernode."""
    made = history(30)
    made.kept = kept
    place = NOWHERE if start is None else Place(1, start, made.head(start))
    reader = Reader(follow(place))
    reader.state = dict(made.entries(place.revision))
    reader.numbers = list(range(1, place.revision + 1))
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


def _quiet(reader: Reader, made: History) -> None:
    reader.follower.reconnected()
    for _ in range(60):
        question = reader.follower.question
        if question is None:
            return
        reader.did(reader.follower.answered(question, made.answer(question)))


def check(reader: Reader, made: History) -> None:
    revisions = [place.revision for place in reader.places]
    assert revisions == sorted(revisions), "the revision went back"
    assert reader.numbers == list(range(1, 31)), "not every revision once and in order"
    assert reader.state == made.entries(30)
    assert reader.follower.place == Place(1, 30, made.head(30))
    assert reader.follower.question is None


@given(steps=STEPS, start=st.none() | st.integers(0, 30), kept=st.sampled_from([1, 15]))
def test_every_revision_is_applied_once_and_in_order_whatever_comes(
    steps: list[Step], start: int | None, kept: int
) -> None:
    check(*driven(steps, start=start, kept=kept, follow=Follower))


class AppliesAnythingNewer(Follower):
    """The planted bug: no rule of N+1."""

    def take(self, update: Update) -> list[Move]:
        if update.revision <= self.place.revision:
            return []
        self.place = Place(update.epoch, update.revision, update.head)
        return [Apply(update)]


class RollsBack(Follower):
    """The planted bug: whatever a supernode says it has is believed."""

    def answered(self, question: Sync, answer: Synced) -> list[Move]:
        if answer.state == "lag":
            self.place = Place(answer.epoch, answer.revision, answer.head)
        return super().answered(question, answer)


@pytest.mark.parametrize("planted", [AppliesAnythingNewer, RollsBack])
def test_a_planted_bug_is_caught(planted: Callable[[Place], Follower]) -> None:
    steps = [("ask", 1, 0), ("update", 2, 0), ("update", 5, 0), ("reconnect", 0, 0)]
    with pytest.raises(AssertionError):
        check(*driven(steps, start=1, kept=1, follow=planted))
    check(*driven(steps, start=1, kept=1, follow=Follower))
