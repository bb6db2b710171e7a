"""What a follower is answered: never a gap, never another history, and every page fits."""

import pytest
from msgspec.structs import replace

from nm_bus.codec import size_of
from nm_bus.core.ledger.chain import GENESIS
from nm_bus.core.ledger.follower import Apply, Follower, Load, Place
from nm_bus.core.ledger.syncing import synced
from nm_bus.core.pages import PAGE_BYTES
from nm_bus.messages import Entry, Sync
from nm_lab.samples.past import BEFORE_ALL, Past, begun

OTHER = "e" * 64


@pytest.fixture
def past() -> Past:
    """Epoch 2, revisions 1 to 6."""
    made = Past(begun(epoch=2))
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
    assert (answer.epoch, answer.revision, answer.head) == (2, 6, past.state.head)
    assert not answer.more


def test_who_has_less_than_the_feed_holds_gets_a_snapshot(past: Past) -> None:
    past.feed_from = 3
    assert synced(Sync(2, 2, head(past, 2)), past.state, past).state == "snapshot"
    assert synced(Sync(2, 2, OTHER), past.state, past).state == "snapshot"
    assert synced(Sync(2, 3, head(past, 3)), past.state, past).state == "updates"
    past.feed_from = 6
    assert synced(Sync(2, 6, head(past, 6)), past.state, past).state == "updates"
    assert synced(Sync(2, 5, head(past, 5)), past.state, past).state == "snapshot"


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
