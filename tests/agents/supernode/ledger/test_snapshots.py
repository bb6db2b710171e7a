"""Who lacks what the others' logs have no more gets their state, page by page, or says why not."""

from collections.abc import Callable
from itertools import permutations

import msgspec
import pytest

from nm_agents.supernode.ledger import arrival, snapshots
from nm_agents.supernode.ledger.part import troubles
from nm_agents.supernode.ledger.post import Post
from nm_bus.core.alerts.kinds import LEDGER_BEHIND
from nm_bus.core.ledger import cut, download
from nm_bus.core.ledger.cut import packed
from nm_bus.errors import StorageError
from nm_bus.messages import Fetch, Ledger, NodeId, Offer, Seconds, Snap, Step, Want
from nm_bus.storage import retention
from nm_bus.storage.ledger import LedgerIdentity, create_ledger
from nm_bus.storage.pagefile import PageFile
from nm_bus.storage.position import Position
from nm_bus.testing.links import Trouble
from nm_bus.topology import LinkKind

from .conftest import PROJECT, Crowd, Site

Make = Callable[..., Crowd]
Said = list[tuple[NodeId, NodeId, Step]]

PAGES = 20


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of three slots, and pages of one entry each."""
    monkeypatch.setattr(retention, "LOG_SLOTS", 3)
    monkeypatch.setattr(cut, "PAGE_BYTES", 100)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """What is said, by whom and to whom."""
    heard: Said = []
    tell = Post.tell

    def listen(self: Post, node: NodeId, step: Step) -> None:
        heard.append((self.identity.node, node, step))
        tell(self, node, step)

    monkeypatch.setattr(Post, "tell", listen)
    return heard


def left_behind(
    make_crowd: Make, trouble: Trouble | None = None, later: Seconds = 0.0
) -> tuple[Site, Site, Site, Crowd]:
    """Three supernodes, of which the last one lacks what the others' logs have no more."""
    crowd = make_crowd(3)
    crowd.awake()
    first, second, third = crowd
    third.kill()
    ends = [pair for pair in permutations(crowd, 2) for _ in LinkKind]
    cut = [link for link, pair in zip(crowd.links, ends, strict=True) if third in pair]
    for link in cut:
        link.trouble = Trouble(loss=1.0)
    for number in range(1, PAGES + 1):
        first.put(number, f"asker{number}")
        crowd.settle()
    crowd.clock.advance(10.0)
    for link in cut:
        link.trouble = trouble or Trouble(delay=0.05)
    crowd.clock.advance(later)
    third.start()
    return first, second, third, crowd


def pages_of(said: Said) -> list[int]:
    return [step.page for _, _, step in said if isinstance(step, Snap)]


def behind(site: Site) -> list[str]:
    """What its supernode says about being behind."""
    return [
        each.summary for each in troubles(site.ledger) if each.holds and each.kind is LEDGER_BEHIND
    ]


def test_a_state_of_many_pages_arrives_each_page_once(make_crowd: Make, said: Said) -> None:
    first, _, third, crowd = left_behind(make_crowd)
    crowd.settle()
    assert third.ledger.feed_from == PAGES, "it took a snapshot"
    assert third.ledger.state == first.ledger.state
    pages = pages_of(said)
    assert len(pages) > PAGES
    assert sorted(pages) == list(range(len(pages)))
    assert not [path for path in third.path.parent.iterdir() if path.name.endswith(".pages")]


def test_while_pages_come_nothing_else_is_asked_for(make_crowd: Make, said: Said) -> None:
    _, _, third, crowd = left_behind(make_crowd, Trouble(delay=3.0))
    crowd.settle()
    mine = [step for who, _, step in said if who == third.node]
    begins = next(at for at, step in enumerate(mine) if isinstance(step, Want))
    ends = max(at for at, step in enumerate(mine) if isinstance(step, Want))
    assert not any(isinstance(step, Fetch) for step in mine[begins:ends])


def test_it_arrives_over_links_that_lose_repeat_and_reorder(make_crowd: Make) -> None:
    bad = Trouble(delay=0.1, jitter=0.7, loss=0.2, duplicates=0.2, reordering=0.3)
    first, _, third, crowd = left_behind(make_crowd, bad)
    crowd.settle()
    assert third.ledger.state == first.ledger.state


def test_a_supplier_that_starts_again_offers_again(make_crowd: Make, said: Said) -> None:
    first, second, third, crowd = left_behind(make_crowd)
    crowd.clock.run(lambda: len(pages_of(said)) > 8, 60.0)
    supplier = next(who for who, _, step in said if isinstance(step, Snap))
    site = crowd.sites[supplier]
    site.kill()
    site.start()
    crowd.settle()
    assert third.ledger.state == first.ledger.state == second.ledger.state


def test_another_voter_takes_the_place_of_one_that_falls_silent(
    make_crowd: Make, said: Said
) -> None:
    first, second, third, crowd = left_behind(make_crowd)
    crowd.clock.run(lambda: len(pages_of(said)) > 8, 60.0)
    supplier = next(who for who, _, step in said if isinstance(step, Snap))
    crowd.sites[supplier].kill()
    crowd.clock.run(lambda: third.ledger.state.revision == PAGES, download.SILENT + 60.0)
    other = second if supplier == first.node else first
    assert third.ledger.state == other.ledger.state


@pytest.mark.parametrize("later", [0.0, 0.2, 0.4, 0.6, 0.8])
def test_another_voter_takes_the_place_of_one_that_beats_but_brings_nothing(
    make_crowd: Make, said: Said, later: Seconds
) -> None:
    """Each kind of message has a link of its own: that of pages may be down alone."""
    first, second, third, crowd = left_behind(make_crowd, later=later)
    crowd.clock.run(lambda: len(pages_of(said)) > 8, 60.0)
    supplier = next(who for who, _, step in said if isinstance(step, Snap))
    ends = [(a, b, kind) for a, b in permutations(crowd, 2) for kind in LinkKind]
    for link, (a, b, kind) in zip(crowd.links, ends, strict=True):
        if (a.node, b, kind) == (supplier, third, LinkKind.BULK):
            link.cut()
    crowd.clock.run(lambda: third.ledger.state.revision == PAGES, download.SILENT + 60.0)
    assert third.ledger.state == first.ledger.state == second.ledger.state


def test_the_link_may_be_down_meanwhile_and_no_page_comes_twice(
    make_crowd: Make, said: Said
) -> None:
    _, second, third, crowd = left_behind(make_crowd)
    second.kill()
    crowd.clock.run(lambda: len(pages_of(said)) > 8, 60.0)
    for link in crowd.links:
        link.cut()
    crowd.clock.advance(300.0)
    for link in crowd.links:
        link.open()
    crowd.clock.run(lambda: third.ledger.state.revision == PAGES, 120.0)
    assert len([step for _, _, step in said if isinstance(step, Offer)]) < 5
    pages = pages_of(said)
    assert len(pages) < 2 * len(set(pages)), "it went on from where it was"


def test_changes_go_on_meanwhile_and_their_log_is_kept(make_crowd: Make, said: Said) -> None:
    first, _, third, crowd = left_behind(make_crowd, Trouble(delay=1.0))
    number = PAGES
    while third.ledger.feed_from == 0:
        number += 1
        first.put(number, f"asker{number}")
        crowd.clock.run(lambda n=number: first.ledger.state.revision == n, 60.0)  # type: ignore[misc]
    assert number - third.ledger.feed_from > retention.LOG_SLOTS
    crowd.settle()
    assert len({step.cut for _, _, step in said if isinstance(step, Snap)}) == 1
    assert third.ledger.state == first.ledger.state


def test_what_is_too_large_is_said_and_taken_once_it_is_not(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "MOST_VALUES", 10)
    first, _, third, crowd = left_behind(make_crowd)
    crowd.clock.run(lambda: bool(behind(third)), 60.0)
    (said,) = behind(third)
    assert "bytes of values, and 10 are the most" in said
    standing = third.ledger.standing()
    assert (standing.state, standing.reason in said) == ("behind", True)
    assert third.ledger.state.revision == 0, "nothing was applied"
    third.put(1, "own")
    assert behind(third) == [said], "that it takes changes is no help"
    monkeypatch.undo()
    crowd.settle()
    assert behind(third) == []
    assert third.ledger.standing().state == "running"
    assert third.ledger.state == first.ledger.state


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.setattr(PageFile, "room", lambda _: 1_000)
    _, _, third, crowd = left_behind(make_crowd)
    crowd.clock.run(lambda: bool(behind(third)), 60.0)
    crowd.clock.advance(60.0)
    (why,) = behind(third)
    assert "and 0 MiB are left in " in why
    assert why.endswith("make room")
    assert pages_of(said) == []


def test_a_disk_that_fills_up_meanwhile_ends_no_program_and_is_tried_again_later(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, count = PageFile.put, 0

    def fails_once(self: PageFile, number: int, body: bytes) -> None:
        nonlocal count
        count += 1
        if count == 9:
            raise StorageError(f"{self.path}: No space left on device")
        put(self, number, body)

    monkeypatch.setattr(PageFile, "put", fails_once)
    first, _, third, crowd = left_behind(make_crowd)
    crowd.clock.run(lambda: bool(behind(third)), 60.0)
    assert "No space left" in behind(third)[0]
    assert not list(third.path.parent.glob(".*.pages"))
    crowd.clock.advance(arrival.PAUSE - 10.0)
    assert count == 9
    crowd.clock.run(lambda: third.ledger.state.revision == PAGES, 2 * arrival.PAUSE)
    assert behind(third) == []
    assert third.ledger.state == first.ledger.state


def test_a_page_that_cannot_be_read_is_said_and_nothing_is_half_applied(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut, "packed", lambda page: packed(page)[:-8] + "AAAAAAA=")
    _, _, third, crowd = left_behind(make_crowd)
    before = third.ledger.state.snapshot()
    crowd.clock.run(lambda: bool(behind(third)), 60.0)
    assert "cannot be read" in behind(third)[0]
    assert third.ledger.state.snapshot() == before
    assert third.ledger.height < PAGES


def offered(site: Site, by: Site, **changed: object) -> Offer:
    """What `by` would offer now, with some of it changed, taken by `site`."""
    about = msgspec.json.encode(by.ledger._whole()).decode()
    height = by.ledger.height
    offer = Offer("x.1", height, cut.FORM, by.ledger.state.size, about, height)
    offer = msgspec.structs.replace(offer, **changed)
    life = by.ledger.identity
    step = Ledger(
        by.node, life.incarnation, life.epoch, life.boot, life.nonce, offer, life.beginning
    )
    assert site.ledger.take(by.node, step) is None
    return offer


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"form": 2}, "has the form 2, and this release of nm-bus knows 1"),
        ({"about": "{}"}, "cannot be read: Object missing required field `author`"),
        ({"about": "no JSON"}, "cannot be read"),
    ],
)
def test_a_snapshot_of_another_release_is_refused_in_one_sentence(
    make_crowd: Make, changed: dict[str, object], why: str, said: Said
) -> None:
    first, _, third, _ = left_behind(make_crowd)
    offered(third, first, **changed)
    assert why in behind(third)[0]
    assert first.node in behind(third)[0]
    offered(third, first)
    assert behind(third), "the next offers are not looked at"
    assert not any(isinstance(step, Want) for _, _, step in said)


@pytest.mark.parametrize("field", ["project", "epoch"])
def test_a_snapshot_of_another_project_or_epoch_is_refused(
    make_crowd: Make, field: str, said: Said
) -> None:
    first, _, third, _ = left_behind(make_crowd)
    other = {"project": "other", "epoch": 7}[field]
    whole = first.ledger._whole()
    whole = msgspec.structs.replace(
        whole, state=msgspec.structs.replace(whole.state, **{field: other})
    )
    offered(third, first, about=msgspec.json.encode(whole).decode())
    assert "is of another project or epoch" in behind(third)[0]
    assert not any(isinstance(step, Want) for _, _, step in said)


# --- who gives


def test_all_who_ask_share_one_snapshot_which_is_let_go_when_nobody_asks(
    make_crowd: Make, said: Said
) -> None:
    first, _, _, crowd = left_behind(make_crowd)
    crowd.settle()
    supplies, now = first.ledger._supplies, crowd.clock.now()
    said.clear()
    for node in ("sn2.example.org", "sn3.example.org"):
        supplies.send(node, 1, now)
    one, other = (step for _, _, step in said if isinstance(step, Offer))
    assert one == other
    assert first.ledger.store.wanted == one.slot
    supplies.forget_old(now + snapshots.KEPT - 1.0)
    supplies.give("sn2.example.org", Want(one.cut, 0, 5), now + snapshots.KEPT - 1.0)
    assert isinstance(said[-1][2], Snap)
    assert said[-1][2].question == 5
    supplies.forget_old(now + 2 * snapshots.KEPT - 2.0)
    assert first.ledger.store.wanted == one.slot
    supplies.forget_old(now + 2 * snapshots.KEPT)
    assert first.ledger.store.wanted is None
    supplies.give("sn2.example.org", Want(one.cut, 0, 6), now + 3 * snapshots.KEPT)
    assert isinstance(said[-1][2], Offer)
    assert said[-1][2].cut != one.cut, "another one is offered"


def test_no_more_snapshots_are_held_than_a_few(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, _, crowd = left_behind(make_crowd)
    crowd.settle()
    supplies = first.ledger._supplies
    supplies.forget_old(crowd.clock.now() + snapshots.KEPT)
    monkeypatch.setattr(type(first.ledger.store), "goes_on_after", lambda *_: False)
    for number in range(5):
        supplies.send("sn2.example.org", 1, crowd.clock.now() + number)
        assert len(supplies._held) == min(number + 1, snapshots.MOST_CUTS)


# --- newcomers


def test_newcomers_ask_the_voter_and_never_each_other(make_crowd: Make, said: Said) -> None:
    crowd = make_crowd(3, seed=3)
    crowd.awake()
    first, *others = crowd
    first.put(1)
    crowd.settle()
    for site in others:
        site.kill()
        site.path.unlink()
        create_ledger(
            site.path, LedgerIdentity(PROJECT, site.node, "again", 0, ""), Position()
        ).close()
    first.kill()
    said.clear()
    for site in others:
        site.start()
    crowd.clock.advance(30.0)
    assert not any(isinstance(step, Fetch) for _, _, step in said)
    assert [site.ledger.height for site in others] == [-1, -1]
    assert [site.ledger.standing().height for site in others] == [0, 0]
    first.start()
    crowd.clock.run(lambda: all(site.ledger.state.revision == 1 for site in others), 30.0)
    asked = {to for _, to, step in said if isinstance(step, Fetch | Want)}
    assert asked == {first.node}
