"""A supernode that began from a snapshot fetches the past, and never denies it meanwhile."""

from collections.abc import Callable

import msgspec
import pytest

from nm_agents.supernode.ledger.post import STALE
from nm_bus.core.ledger.earlier import DOUBT, EVERY
from nm_bus.core.ledger.reading import page
from nm_bus.messages import Change, Earlier, Page, Read, Update
from nm_bus.storage import retention

from .conftest import ADMIN, Crowd, Site

Make = Callable[..., Crowd]


@pytest.fixture
def crowd(make_crowd: Make, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """Three supernodes; the last is away, and what it misses is in no log any more."""
    monkeypatch.setattr(retention, "LOG_SLOTS", 3)
    crowd = make_crowd(3)
    crowd.awake()
    first, _, third = crowd
    third.put(1)
    crowd.settle()
    third.kill()
    for number in range(1, 11):
        first.put(number)
        ask(crowd, "open", f"session/{ADMIN}/s{number}", {"ttl": 30_000})
        ask(crowd, "lock", "lock/l", {"session": f"session/{ADMIN}/s{number}"})
        ask(crowd, "close", f"session/{ADMIN}/s{number}")
    crowd.clock.advance(2 * STALE)
    return crowd


def ask(crowd: Crowd, kind: str, key: str, value: dict[str, object] | None = None) -> None:
    """A change of the administrator's, agreed when this returns."""
    first = next(iter(crowd)).ledger
    base = first.state.revision
    change = Change(f"{ADMIN}/asked/{base}", ADMIN, kind, key, base, value)
    said: list[str] = []
    first.propose(change, lambda answer: said.append(answer.state))
    crowd.clock.run(lambda: bool(said), 60.0)
    assert said == ["agreed"]


def read(site: Site, key: str = "") -> Page:
    question = Read("updates", key, newest_first=True, limit=1_000)
    found = page(question, site.ledger.state, site.ledger)
    assert isinstance(found, Page)
    return found


def everything(site: Site) -> list[Update]:
    return site.ledger.updates(0, 10_000)


def back(crowd: Crowd) -> Site:
    """The third one is back, and has just taken a snapshot."""
    *_, third = crowd
    third.start()
    crowd.clock.run(lambda: third.ledger.feed_from > 0, 60.0)
    return third


def test_it_fetches_all_that_the_others_keep(crowd: Crowd) -> None:
    first, third = next(iter(crowd)), back(crowd)
    crowd.clock.run(lambda: third.ledger.feed_from == 0, 60.0)
    assert everything(third) == everything(first)
    for key in ("config/sn1.example.org/document", "lock/l", f"session/{ADMIN}/s3", ""):
        assert read(third, key) == read(first, key)
    assert len(read(third, "lock/l").updates) == 20, "a session that ends frees its lock"


def test_while_it_has_not_it_says_who_has(crowd: Crowd) -> None:
    third = back(crowd)
    for key in ("config/sn1.example.org/document", "lock/l", ""):
        found = read(third, key)
        assert found.kept_from == third.ledger.state.revision, key
        assert found.kept_by == ("sn1.example.org", "sn2.example.org")
    assert read(third, "config/new/document").kept_from == 0, "there never was such a component"


def test_it_goes_on_after_a_restart(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nm_bus.core.ledger.earlier.MOST_UPDATES", 4)
    first, third = next(iter(crowd)), back(crowd)
    whole = len(everything(first))
    lives = 0
    while third.ledger.feed_from:
        crowd.clock.advance(3 * EVERY)
        third.kill()
        third.start()
        lives += 1
        assert lives < 50
    assert lives > 2
    assert len(everything(third)) == whole
    assert everything(third) == everything(first)


def test_pages_are_bounded_and_no_more_than_one_a_second_is_asked_for(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nm_bus.core.ledger.earlier.MOST_UPDATES", 4)
    third = back(crowd)
    before, began = len(everything(third)), crowd.clock.now()
    crowd.clock.run(lambda: third.ledger.feed_from == 0, 600.0)
    came = len(everything(third)) - before
    assert crowd.clock.now() - began >= EVERY * (came / 4 - 2)


def test_what_does_not_fit_the_hash_chain_is_not_taken(crowd: Crowd) -> None:
    third = back(crowd)
    others = [site for site in crowd if site is not third]
    for site in others:
        forge(site, "config/sn1.example.org/document")
    crowd.clock.advance(30.0)
    kept = read(third, "config/sn1.example.org/document")
    assert kept.kept_from > 0
    assert all("forged" not in str(update.change.value) for update in everything(third))
    crowd.clock.advance(DOUBT)
    assert read(third, "config/sn1.example.org/document").kept_from > 0
    assert read(third, "lock/l").kept_from == 0, "what is right is taken"


def forge(site: Site, key: str) -> None:
    """Let a supernode keep another document than was agreed."""
    update = site.ledger.store.updates(0, 3, key)[-1]
    forged = msgspec.structs.replace(update.change, value={"content": "forged"})
    body = msgspec.json.encode(msgspec.structs.replace(update, change=forged))
    statement = "UPDATE feed SET body = ? WHERE revision = ?"
    site.ledger.store._file.run(statement, (body, update.revision))


def test_what_nobody_keeps_stays_missing_and_is_said(crowd: Crowd) -> None:
    others = list(crowd)[:2]
    for site in others:
        store = site.ledger.store
        store._file.run("DELETE FROM feed WHERE of_group = 'config' AND revision <= 20")
        store.keep_since({"config": 20})
    third = back(crowd)
    crowd.clock.advance(120.0)
    found = read(third, "config/sn1.example.org/document")
    assert found.kept_from == 20
    assert found.kept_by == ()
    assert found == read(others[0], "config/sn1.example.org/document")
    assert read(third, "lock/l").kept_from == 0


def test_a_page_that_nobody_asked_for_changes_nothing(crowd: Crowd) -> None:
    third = back(crowd)
    store = third.ledger.store
    before = store.position, everything(third)
    for group in ("config", "nonsense"):
        page = Earlier(group, store.position.kept_from.get(group, 0) + 1, 0)
        third.ledger.earlier.take("sn1.example.org", page, third.ledger.state, crowd.clock.now())
    assert (store.position, everything(third)) == before
