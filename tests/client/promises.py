"""What every client promises a component: kept by the fake and by the real one alike.

A class of tests derives from `Promises` and brings a fixture `client`; its user may change
everything, and documents may be there already.
"""

import json
from datetime import timedelta
from itertools import islice
from uuid import uuid4

import pytest

from nm_bus.client import NOWHERE, Client, Quiet, Snapshot, Updates
from nm_bus.errors import ConflictError, RefusedError, TimedOutError
from nm_bus.messages import Update


@pytest.fixture
def component() -> str:
    """One that nobody else has documents of."""
    return f"c{uuid4().hex[:8]}"


def revisions(updates: Updates, count: int) -> list[int]:
    """The revisions of the next updates."""
    given = (item for item in updates if isinstance(item, Update))
    return [update.revision for update in islice(given, count)]


class Promises:
    """Held by every client."""

    def test_a_document_is_read_as_it_was_put(self, client: Client, component: str) -> None:
        for name, content in (("a.txt", "blå\n"), ("sub/b.bin", b"\xff\0"), ("empty.txt", "")):
            agreed = client.put(component, name, content)
            entry = client.document(component, name, at_least=agreed.revision)
            assert entry is not None
            assert entry.content == (content.encode() if isinstance(content, str) else content)
            assert (entry.revision, entry.actor) == (agreed.revision, client.user)
            assert entry.when.utcoffset() == timedelta(0)
        assert client.document(component, "none.txt") is None

    def test_a_value_is_published_as_json(self, client: Client, component: str) -> None:
        agreed = client.put(component, "a.json", {"ports": [1, 2]})
        entry = client.document(component, "a.json", at_least=agreed.revision)
        assert entry is not None
        assert json.loads(entry.text) == {"ports": [1, 2]}

    def test_the_one_that_came_second_is_told(self, client: Client, component: str) -> None:
        first = client.put(component, "a.txt", "1", if_revision=0)
        client.put(component, "a.txt", "2", if_revision=first.revision)
        with pytest.raises(ConflictError):
            client.put(component, "a.txt", "3", if_revision=first.revision)

    def test_what_may_not_be_published_is_refused(self, client: Client, component: str) -> None:
        with pytest.raises(RefusedError, match="looks like a password"):
            client.put(component, "a.ini", "password = correcthorse")
        with pytest.raises(RefusedError, match="is no key"):
            client.get(f"{component}/a.txt")

    def test_a_list_and_the_past_come_whole(self, client: Client, component: str) -> None:
        last = 0
        for n in range(8):
            last = client.put(component, f"{n}.txt", str(n)).revision
        prefix = f"config/{component}/"
        assert [e.text for e in client.entries(prefix, at_least=last)] == list("01234567")
        assert [u.change.key for u in islice(client.history(), 8)] == [
            f"{prefix}{n}.txt" for n in range(7, -1, -1)
        ]
        assert [u.revision for u in client.updates_of(f"{prefix}7.txt", since=last - 1)] == [last]

    def test_a_deleted_document_is_no_more(self, client: Client, component: str) -> None:
        client.put(component, "a.txt", "1")
        deleted = client.delete(f"config/{component}/a.txt")
        assert client.document(component, "a.txt", at_least=deleted.revision) is None
        assert client.outcome(deleted.id) == deleted
        assert client.outcome(f"{client.user}/0/1") is None

    def test_what_is_followed_comes_once_and_in_order(self, client: Client, component: str) -> None:
        client.put(component, "0.txt", "x")
        with client.updates(component, since=NOWHERE) as updates:
            whole = next(updates)
            assert isinstance(whole, Snapshot)
            assert [entry.text for entry in whole.entries] == ["x"]
            agreed = [client.put(component, f"{n}.txt", str(n)).revision for n in range(1, 6)]
            assert revisions(updates, 5) == agreed
            assert (updates.place.feed, updates.place.number) == (f"config/{component}", 6)

    def test_one_feed_is_followed_from_a_revision_and_from_its_own_place(
        self, client: Client, component: str
    ) -> None:
        feed = f"config/{component}"
        mine, others = [], 0
        for n in range(4):
            mine.append(client.put(component, f"{n}.txt", str(n)).revision)
            others = client.put(f"{component}o", f"{n}.txt", str(n)).revision
        client.wait(others)
        with client.updates(component, since=mine[1]) as updates:
            assert revisions(updates, 1) == mine[2:3]
            place = updates.place
        with client.updates(feed=feed, since=place) as updates:
            assert revisions(updates, 1) == mine[3:]
        assert client.place(feed) == updates.place
        assert client.place(feed, mine[1]).number == 2
        with client.updates(since=mine[3]) as everything:
            assert revisions(everything, 1) == [others]

    def test_a_feed_that_was_never_written_is_followed_all_the_same(
        self, client: Client, component: str
    ) -> None:
        with client.updates(component, since=NOWHERE, quiet=0.1) as updates:
            whole = next(updates)
            assert isinstance(whole, Snapshot)
            assert (whole.entries, whole.reset) == ((), "")
            assert isinstance(next(updates), Quiet)
            agreed = client.put(component, "a.txt", "x")
            assert revisions(updates, 1) == [agreed.revision]
            assert updates.place.number == 1

    def test_what_is_no_feed_and_a_place_in_another_are_refused(
        self, client: Client, component: str
    ) -> None:
        with pytest.raises(
            RefusedError, match=r"^'nonsense/\.\.' is no feed of the ledger: config/"
        ):
            client.updates(feed="nonsense/..")
        with pytest.raises(RefusedError, match=r"^'config/a/b' is no feed of the ledger"):
            client.updates("a/b")
        with pytest.raises(RefusedError, match="a component or a feed"):
            client.updates(component, feed="record")
        place = client.place(f"config/{component}")
        another = f"a place in the feed config/{component} is none in the feed record"
        with pytest.raises(RefusedError, match=another):
            client.updates(feed="record", since=place)
        with pytest.raises(RefusedError, match="is none in the whole ledger"):
            client.updates(since=place)

    def test_a_revision_that_is_not_there_is_said(self, client: Client, component: str) -> None:
        agreed = client.put(component, "a.txt", "x")
        assert client.wait(agreed.revision).revision >= agreed.revision
        with pytest.raises(
            TimedOutError, match=r"revision \d+ is not there yet: \d+ is the newest"
        ):
            client.wait(agreed.revision + 1000, timeout=0.5)

    def test_a_lock_has_one_holder_who_is_named(self, client: Client, component: str) -> None:
        with client.lock(component) as held, client.beside() as other:
            holder = rf"^{component} is held by {client.user} since .*Z, token {held.token}$"
            with pytest.raises(ConflictError, match=holder), other.lock(component, wait=0):
                raise AssertionError("it was granted twice")
        with client.lock(component) as again:
            assert again.token > held.token
