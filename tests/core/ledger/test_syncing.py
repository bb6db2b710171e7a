"""What a follower is answered: never a gap, never another history, and every page fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nm_bus.codec import size_of
from nm_bus.core.ledger.chain import GENESIS
from nm_bus.core.ledger.feed import place_after, place_now
from nm_bus.core.ledger.follower import Alarm, Apply, Follower, Load, Move, Place
from nm_bus.core.ledger.syncing import synced
from nm_bus.core.pages import PAGE_BYTES
from nm_bus.messages import Entry, Sync, Synced, Update
from nm_bus.testing.past import KeptUpdates
from nm_lab.samples.past import ADMINISTRATOR, BEFORE_ALL, Past, begun

OTHER = "e" * 64


@pytest.fixture
def past() -> Past:
    """Epoch 2, revisions 1 to 6."""
    made = Past(state=begun(epoch=2))
    for number in range(6):
        made.put(f"d{number}")
    return made


def head(past: Past, revision: int) -> str:
    return past.kept[revision - 1].head


@pytest.mark.parametrize(
    ("epoch", "revision", "known", "after", "state", "revisions"),
    [
        (2, 4, "its own", None, "updates", [5, 6]),
        (2, 6, "its own", None, "updates", []),
        (2, 4, "none", None, "updates", [5, 6]),
        (2, 0, "the beginning's", None, "updates", [1, 2, 3, 4, 5, 6]),
        (2, 0, "none", None, "updates", [1, 2, 3, 4, 5, 6]),
        (2, 0, "zeros", None, "snapshot", []),
        (0, 0, "zeros", None, "snapshot", []),
        (0, 0, "zeros", "", "snapshot", []),
        (2, 4, "its own", "", "snapshot", []),
        (1, 9, "another", "", "snapshot", []),
        (2, 7, "another", None, "lag", []),
        (2, 7, "another", "", "lag", []),
        (3, 1, "another", None, "lag", []),
        (1, 4, "its own", None, "reset", []),
        (1, 9, "another", None, "reset", []),
        (2, 4, "another", None, "reset", []),
        (2, 6, "another", None, "reset", []),
        (2, 0, "another", None, "reset", []),
    ],
)
def test_a_question_has_one_answer(
    past: Past,
    *,
    epoch: int,
    revision: int,
    known: str,
    after: str | None,
    state: str,
    revisions: list[int],
) -> None:
    heads = {"none": "", "zeros": GENESIS, "another": OTHER, "the beginning's": BEFORE_ALL}
    named = heads[known] if known in heads else head(past, revision)
    answer = synced(Sync(epoch, revision, named, after), past.state, past)
    assert answer.state == state
    assert [update.revision for update in answer.updates] == revisions
    assert bool(answer.entries) == (state == "snapshot")
    assert (answer.epoch, answer.number, answer.head) == (2, 6, past.state.head)
    assert answer.at == 6
    assert not answer.more


def test_who_has_less_than_the_feed_holds_gets_a_snapshot(past: Past) -> None:
    past.feed_from = 3
    assert synced(Sync(2, 2, head(past, 2)), past.state, past).state == "snapshot"
    assert synced(Sync(2, 2, OTHER), past.state, past).state == "snapshot"
    assert synced(Sync(2, 3, head(past, 3)), past.state, past).state == "updates"
    past.feed_from = 6
    assert synced(Sync(2, 6, head(past, 6)), past.state, past).state == "updates"
    assert synced(Sync(2, 5, head(past, 5)), past.state, past).state == "snapshot"


# --- one feed


@pytest.fixture
def several() -> Past:
    """Epoch 2: of component a the revisions 1, 3, 5 and 7, of b the others up to 8."""
    made = Past(state=begun(epoch=2))
    for number in range(8):
        made.put(f"d{number}", component="ab"[number % 2])
    return made


def feed_head(past: Past, number: int) -> str:
    line = [u for u in past.kept if u.place.feed == "config/a"]
    return line[number - 1].place.head if number else GENESIS


@pytest.mark.parametrize(
    ("epoch", "number", "known", "after", "state", "revisions"),
    [
        (2, 2, "its own", None, "updates", [5, 7]),
        (2, 4, "its own", None, "updates", []),
        (2, 0, "its own", None, "updates", [1, 3, 5, 7]),
        (2, 2, "none", None, "updates", [5, 7]),
        (0, 0, "its own", "", "snapshot", []),
        (0, 0, "its own", None, "snapshot", []),
        (1, 0, "its own", None, "snapshot", []),
        (2, 2, "its own", "", "snapshot", []),
        (2, 5, "another", None, "lag", []),
        (3, 1, "another", None, "lag", []),
        (1, 2, "its own", None, "reset", []),
        (1, 9, "another", None, "reset", []),
        (2, 2, "another", None, "reset", []),
        (2, 4, "another", None, "reset", []),
    ],
)
def test_a_question_about_a_feed_has_one_answer(
    several: Past,
    *,
    epoch: int,
    number: int,
    known: str,
    after: str | None,
    state: str,
    revisions: list[int],
) -> None:
    heads = {"none": "", "another": OTHER}
    named = heads[known] if known in heads else feed_head(several, number)
    question = Sync(epoch, number, named, after, "config/a")
    answer = synced(question, several.state, several)
    assert answer.state == state
    assert [update.revision for update in answer.updates] == revisions
    keys = [f"config/a/d{n}" for n in (0, 2, 4, 6)]
    assert [e.key for e in answer.entries] == (keys if state == "snapshot" else [])
    assert (answer.epoch, answer.number, answer.head, answer.at) == (2, 4, feed_head(several, 4), 8)


def test_who_has_less_of_a_feed_than_is_kept_gets_a_snapshot_of_it(several: Past) -> None:
    several.feed_from = 4

    def state(number: int) -> str:
        question = Sync(2, number, feed_head(several, number), None, "config/a")
        return synced(question, several.state, several).state

    assert [state(number) for number in range(5)] == [
        "snapshot",
        "snapshot",
        "updates",
        "updates",
        "updates",
    ]
    several.feed_from = 8
    assert [state(3), state(4)] == ["snapshot", "updates"]


class Unread(KeptUpdates):
    """A past that nobody may look at."""

    def updates(
        self, since: int, limit: int, key: str = "", *, without_locks: bool = False
    ) -> list[Update]:
        raise AssertionError("it was looked at")

    def feed_updates(self, feed: str, since: int, limit: int) -> list[Update]:
        raise AssertionError("it was looked at")

    def feed_kept_from(self, feed: str) -> int:
        raise AssertionError("it was looked at")


def test_who_has_everything_costs_no_look_at_the_past(several: Past) -> None:
    for feed, number, head_there in (
        ("", 8, several.state.head),
        ("config/a", 4, feed_head(several, 4)),
        ("config/none", 0, GENESIS),
    ):
        answer = synced(Sync(2, number, head_there, None, feed), several.state, Unread())
        assert answer == Synced("updates", 2, number, head_there, 8)


def test_a_feed_that_was_never_written_has_nothing_to_give(several: Past) -> None:
    answer = synced(Sync(2, 0, GENESIS, None, "config/none"), several.state, several)
    assert answer == Synced("updates", 2, 0, GENESIS, 8)
    begun_there = synced(Sync(0, 0, GENESIS, "", "config/none"), several.state, several)
    assert begun_there == Synced("snapshot", 2, 0, GENESIS, 8)


def test_locks_and_sessions_are_one_feed(past: Past) -> None:
    owner = ADMINISTRATOR
    past.apply(past.change("open", f"session/{owner}/s", {"ttl": 15_000}))
    past.apply(past.change("lock", "lock/l", {"session": f"session/{owner}/s", "generation": 7}))
    answer = synced(Sync(0, 0, GENESIS, "", "lock"), past.state, past)
    assert [entry.key for entry in answer.entries] == ["lock/l", f"session/{owner}/s"]
    first = synced(Sync(0, 0, GENESIS, "lock/l", "lock"), past.state, past)
    assert [entry.key for entry in first.entries] == [f"session/{owner}/s"]
    assert answer.number == 2


def test_a_feed_comes_in_pages_and_is_followed_to_its_end(several: Past) -> None:
    follower, numbers = Follower(several_place(several, 1)), []
    while (question := follower.question) is not None:
        answer = synced(question, several.state, several, most_updates=2)
        moves = follower.answered(question, answer)
        numbers.append([m.update.place.number for m in moves if isinstance(m, Apply)])
    assert numbers == [[2, 3], [4]]


def several_place(past: Past, number: int) -> Place:
    return Place(2, number, feed_head(past, number), "config/a")


def test_where_a_feed_was_after_a_revision(several: Past) -> None:
    def number(revision: int, feed: str = "config/a") -> int | None:
        found = place_after(feed, revision, several.state, several)
        if found is not None and feed == "config/a":
            assert found.head == feed_head(several, found.number)
        return None if found is None else found.number

    assert [number(revision) for revision in range(9)] == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert number(3, "config/none") == 0
    several.feed_from = 4
    assert [number(revision) for revision in range(9)] == [None] * 4 + [2, 3, 3, 4, 4]
    assert number(1, "config/none") == 0
    assert place_now("config/a", several.state).number == 4


def test_updates_come_in_pages_that_fit() -> None:
    past = Past()
    for number in range(30):
        past.put(f"d{number}", "x" * 60_000)
    follower = Follower(Place(1, 0, BEFORE_ALL))
    sizes, applied = [], 0
    while (question := follower.question) is not None:
        answer = synced(question, past.state, past)
        sizes.append(size_of(answer.updates))
        applied += sum(isinstance(move, Apply) for move in follower.answered(question, answer))
    assert applied == 30
    assert len(sizes) == 4
    assert max(sizes) < PAGE_BYTES + 1_000


def test_a_follower_is_led_through_a_snapshot_while_the_ledger_goes_on() -> None:
    past = Past()
    for number in range(30):
        past.put(f"d{number:02}", "x" * 60_000)
    follower, held = Follower(), dict[str, Entry]()
    pages = 0
    while (question := follower.question) is not None:
        for move in follower.answered(question, synced(question, past.state, past)):
            match move:
                case Load(entries):
                    held |= {entry.key: entry for entry in entries}
                    pages += 1
                    past.put(f"d{pages:02}", "changed")
                case Apply(update):
                    value = update.change.value or {}
                    key, actor = update.change.key, update.change.actor
                    held[key] = Entry(key, value, update.revision, actor, update.time)
    assert pages == 4
    assert follower.place == Place(1, past.state.revision, past.state.head)
    assert held == past.state.entries


def test_one_update_that_is_larger_than_a_page_is_given_all_the_same(past: Past) -> None:
    large = past.put("large", "x" * 60_000)
    huge = replace(large, change=replace(large.change, value={"content": "x" * PAGE_BYTES}))
    past.kept[-1] = huge
    answer = synced(Sync(2, 6, head(past, 6)), past.state, past)
    assert answer.updates == (huge,)


# --- a follower and supernodes that lag and forget, whatever comes and in whatever order

COMPONENTS = ("a", "b", "a", "c")
LAST = 24


def supernode(height: int = LAST) -> Past:
    """The same history at every supernode, up to a revision."""
    made = Past(state=begun(epoch=2))
    for number in range(height):
        made.put(f"d{number % 5}", str(number), component=COMPONENTS[number % 4])
    return made


def held(past: Past, feed: str) -> dict[str, int]:
    entries = past.state.under(f"{feed}/" if feed else "")
    return {entry.key: entry.revision for entry in entries}


@pytest.mark.parametrize("feed", ["", "config/a", "config/c", "config/none"])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["update", "update", "ask", "lag", "again"]), st.integers(0, 23)),
        max_size=40,
    ),
    lag=st.integers(0, LAST),
    forgotten=st.integers(0, LAST),
)
def test_a_follower_comes_to_the_end_of_its_feed_and_never_goes_back(
    feed: str, steps: list[tuple[str, int]], lag: int, forgotten: int
) -> None:
    whole, late = supernode(), supernode(lag)
    whole.feed_from = forgotten
    follower, keys = Follower(Place(feed=feed)), dict[str, int]()
    numbers: list[int] = []

    def do(moves: list[Move]) -> None:
        for move in moves:
            match move:
                case Load(entries, first):
                    if first:
                        keys.clear()
                    keys.update({entry.key: entry.revision for entry in entries})
                case Apply(update):
                    keys[update.change.key] = max(update.revision, keys.get(update.change.key, 0))
                case Alarm(reason):
                    raise AssertionError(reason)
        numbers.append(follower.place.number)

    def ask(of: Past) -> None:
        question = follower.question
        if question is not None:
            do(follower.answered(question, synced(question, of.state, of, most_entries=3)))

    for what, number in steps:
        match what:
            case "update":
                do(follower.take(whole.kept[number]))
            case "again":
                follower.reconnected()
            case _:
                ask(whole if what == "ask" else late)
    follower.reconnected()
    for _ in range(40):
        ask(whole)
    assert follower.question is None
    assert numbers == sorted(numbers)
    there = synced(Sync(2, 0, "", None, feed), whole.state, whole)
    assert follower.place == Place(2, there.number, there.head, feed)
    assert keys == held(whole, feed)
