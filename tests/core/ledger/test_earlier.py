"""Who is asked for the past, and what of it is taken."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from nm_bus.codec import size_of
from nm_bus.core.ledger.earlier import (
    DOUBT,
    EVERY,
    FRESH,
    MOST_PEERS,
    MOST_UPDATES,
    PAGE_BYTES,
    PATIENCE,
    PAUSE,
    ChainEnd,
    Keeping,
    Whereto,
    joined,
    page_of,
    reached,
)
from nm_bus.messages import Earlier, EarlierUpdate, FetchEarlier, Update
from nm_lab.samples.past import ADMINISTRATOR, Past

OWN = {"config": 50, "lock": 60}
A, B = "a.example", "b.example"


def room(_group: str) -> bool:
    return True


@pytest.fixture
def keeping() -> Keeping:
    made = Keeping()
    made.heard(A, {"config": 20}, 0.0)
    made.heard(B, {"lock": 70}, 0.0)
    return made


# --- whom to ask


def test_who_has_the_most_is_asked_documents_first(keeping: Keeping) -> None:
    assert keeping.due(OWN, room, 1.0) == (B, FetchEarlier("config", 51))


def test_one_page_is_on_its_way_at_a_time(keeping: Keeping) -> None:
    keeping.due(OWN, room, 1.0)
    assert keeping.due(OWN, room, PATIENCE) is None
    page = Earlier("config", 51, 30)
    assert keeping.is_answer(B, page, OWN)
    assert not keeping.is_answer(B, page, OWN)
    assert keeping.due(OWN, room, 1.0 + EVERY / 2) is None
    assert keeping.due(OWN, room, 1.0 + EVERY) is not None


def test_who_gives_no_answer_is_not_asked_about_this_for_a_while(keeping: Keeping) -> None:
    keeping.due(OWN, room, 0.0)
    assert keeping.due(OWN, room, PATIENCE) == (A, FetchEarlier("config", 51))
    assert keeping.due(OWN, room, 2 * PATIENCE) == (A, FetchEarlier("lock", 61))
    keeping.heard(B, {}, PAUSE)
    assert keeping.due(OWN, room, PATIENCE + PAUSE) == (B, FetchEarlier("config", 51))


def test_who_sent_what_was_of_no_use_is_not_asked_about_this_for_a_while(keeping: Keeping) -> None:
    keeping.due(OWN, room, 0.0)
    keeping.is_answer(B, Earlier("config", 51, 50), OWN)
    keeping.of_no_use(B, "config", 1.0)
    assert keeping.due(OWN, room, 2.0) == (A, FetchEarlier("config", 51))
    keeping.is_answer(A, Earlier("config", 51, 30), OWN)
    keeping.heard(B, {}, DOUBT)
    assert keeping.due(OWN, room, DOUBT) == (B, FetchEarlier("lock", 61))
    keeping.is_answer(B, Earlier("lock", 61, 30), OWN)
    assert keeping.due(OWN, room, 1.0 + DOUBT) == (B, FetchEarlier("config", 51))


def test_nothing_is_asked_of_who_has_no_more_or_is_not_heard_any_more(keeping: Keeping) -> None:
    assert keeping.due({"config": 0, "lock": 0}, room, 0.0) is None
    assert keeping.due({}, room, 0.0) is None
    assert keeping.due(OWN, room, FRESH) is None
    keeping.heard(A, None, FRESH)
    assert keeping.due(OWN, room, FRESH) is None


def test_nothing_is_asked_that_would_not_stay(keeping: Keeping) -> None:
    due = keeping.due(OWN, lambda group: group == "lock", 0.0)
    assert due == (A, FetchEarlier("lock", 61))
    assert Keeping().due(OWN, lambda _group: False, 0.0) is None


def test_a_page_of_another_peer_or_question_is_not_the_one(keeping: Keeping) -> None:
    keeping.due(OWN, room, 0.0)
    assert not keeping.is_answer(A, Earlier("config", 51, 0), OWN)
    assert not keeping.is_answer(B, Earlier("config", 52, 0), OWN)
    assert not keeping.is_answer(B, Earlier("lock", 51, 0), OWN)
    assert not keeping.is_answer(B, Earlier("config", 51, 0), {"config": 99}), "a snapshot came"


def test_who_keeps_more_is_named(keeping: Keeping) -> None:
    assert keeping.by(OWN, ("config",), 0.0) == (A, B)
    assert keeping.by(OWN, ("lock",), 0.0) == (A,)
    assert keeping.by(OWN, ("config", "lock"), 0.0) == (A,)
    assert keeping.by(OWN, ("config",), FRESH) == ()


def test_no_more_peers_are_remembered_than_there_may_be() -> None:
    keeping = Keeping()
    for number in range(MOST_PEERS + 10):
        keeping.heard(f"{number}", {}, 0.0)
    assert len(keeping.by({"config": 1}, ("config",), 0.0)) == MOST_PEERS


# --- what is taken


@pytest.fixture
def past() -> Past:
    """Documents of two components and sessions, in turn."""
    made = Past()
    for number in range(5):
        made.put("d", f"{number}")
        made.apply(made.change("open", f"session/{ADMINISTRATOR}/s{number}", {"ttl": 30_000}))
        made.apply(made.change("set", f"config/b/d{number}", {"content": "x"}))
    return made


def page(past: Past, group: str = "config", since: int = 0) -> Earlier:
    """All of a group after a revision, as a page."""
    found = [one for one in past.kept if one.place.feed.startswith(group) and one.revision > since]
    updates = tuple(EarlierUpdate(one) for one in reversed(found))
    return Earlier(group, past.state.revision + 1, since, updates)


def whereto(past: Past) -> Whereto:
    """One that has nothing but the state."""
    ends = {feed: ChainEnd(place.number, place.head) for feed, place in past.state.feeds.items()}
    return Whereto("esgf", 1, lambda feed: ends.get(feed, ChainEnd(0, "")))


def test_what_continues_the_chains_back_to_the_first_update_is_taken(past: Past) -> None:
    found = joined(page(past), whereto(past))
    assert (len(found.updates), found.flaw) == (10, "")
    assert reached(page(past), found, 15, is_first=True) == 0


def test_a_page_reaches_as_far_as_it_says_but_never_to_the_beginning_unseen(past: Past) -> None:
    found = joined(page(past, since=7), whereto(past))
    assert reached(page(past, since=7), found, 15, is_first=False) == 7
    nothing = Earlier("config", 16, 9)
    assert reached(nothing, joined(nothing, whereto(past)), 15, is_first=False) == 9
    claimed = replace(page(past, since=7), since=0)
    lowest = claimed.updates[-1].update.revision
    assert reached(claimed, found, 15, is_first=False) == lowest - 1


def with_change(update: Update) -> Update:
    return replace(update, change=replace(update.change, value={"content": "forged"}))


def with_place(update: Update, **other: Any) -> Update:
    return replace(update, place=replace(update.place, **other))


FORGED: dict[str, Callable[[Update], Update]] = {
    "another change": with_change,
    "another time": lambda one: replace(one, time=one.time + 1),
    "another digest": lambda one: replace(one, digest="0" * 64),
    "another previous head": lambda one: replace(one, previous="0" * 64),
    "another head": lambda one: replace(one, head="0" * 64),
    "another project": lambda one: replace(one, project="other"),
    "a later epoch": lambda one: replace(one, epoch=2),
    "no epoch": lambda one: replace(one, epoch=0),
    "another number": lambda one: with_place(one, number=one.place.number - 1),
    "another feed": lambda one: with_place(one, feed="config/b"),
    "another group": lambda one: with_place(one, feed="record"),
    "another head of the feed": lambda one: with_place(one, head="0" * 64),
    "another head of the feed before": lambda one: with_place(one, previous="0" * 64),
    "a later revision": lambda one: replace(one, revision=99),
    "no revision": lambda one: replace(one, revision=0),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_what_is_not_what_was_agreed_is_not_taken_and_what_came_before_it_in_the_page_is(
    past: Past, forge: Callable[[Update], Update]
) -> None:
    whole = page(past)
    assert whole.updates[3].update.place.feed == "config/a"
    updates = list(whole.updates)
    updates[3] = EarlierUpdate(forge(updates[3].update))
    forged = replace(whole, updates=tuple(updates))
    found = joined(forged, whereto(past))
    assert found.updates == whole.updates[:3]
    assert found.flaw
    lowest = whole.updates[2].update.revision
    assert reached(forged, found, 15, is_first=False) == lowest - 1


def test_an_update_that_is_left_out_is_noticed_at_the_one_before_it_in_its_feed(past: Past) -> None:
    whole = page(past)
    found = joined(replace(whole, updates=whole.updates[1:]), whereto(past))
    assert "is not the one before what is known of config/b" in found.flaw


def test_updates_in_another_order_or_twice_are_not_taken(past: Past) -> None:
    whole = page(past)
    for updates in (whole.updates[::-1], whole.updates[:1] * 2):
        assert joined(replace(whole, updates=updates), whereto(past)).flaw


def test_a_feed_that_the_state_does_not_have_is_not_taken(past: Past) -> None:
    other = Past()
    other.apply(other.change("set", "config/c/d", {"content": "x"}))
    assert joined(page(other), whereto(past)).flaw


# --- what is given


def test_a_page_is_bounded_and_says_how_far_it_goes(past: Past) -> None:
    update = past.kept[0]
    many = [EarlierUpdate(replace(update, revision=n)) for n in range(1_000, 0, -1)]
    given = page_of(FetchEarlier("config", 1_001), iter(many), 0)
    assert len(given.updates) == MOST_UPDATES
    assert given.since == given.updates[-1].update.revision - 1
    large = replace(update, change=replace(update.change, value={"content": "x" * 60_000}))
    given = page_of(FetchEarlier("config", 9), iter([EarlierUpdate(large)] * 8), 0)
    assert size_of(given) < PAGE_BYTES + 1_000
    assert 0 < len(given.updates) < 8


def test_the_last_page_goes_as_far_as_its_supplier_keeps_all(past: Past) -> None:
    some = iter([EarlierUpdate(past.kept[0])])
    assert page_of(FetchEarlier("config", 9), some, 3).since == 3
    assert page_of(FetchEarlier("config", 9), iter(()), 20).since == 8, "it keeps less"
