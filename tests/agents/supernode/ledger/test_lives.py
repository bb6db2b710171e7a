"""Lives that end at a bad moment, histories that differ, and upgrades: what is not lost by it."""

from collections.abc import Callable
from functools import partial

import pytest

from nm_agents.supernode.ledger import own
from nm_agents.supernode.ledger.arrival import Arrival
from nm_agents.supernode.ledger.part import troubles
from nm_bus import codec
from nm_bus.core.alerts.kinds import LEDGER_FORKED as FORKED
from nm_bus.core.ledger.applying import MOST_FEEDS
from nm_bus.core.ledger.effects import casts
from nm_bus.core.ledger.rules.version import in_force
from nm_bus.messages import Ballot, Batch, Cast, Change, Echo, FeedPlace, Ledger, Mark, Recalled
from nm_bus.storage.ledger import LedgerIdentity, create_ledger
from nm_bus.storage.position import Position
from nm_bus.topology import PEER_BYTES

from .conftest import ADMIN, PROJECT, Crowd, Site, disk_of, lose_since
from .test_upgrade import SLIPPED, UPGRADED, restart, settle

Make = Callable[..., Crowd]


def begin_again(site: Site) -> None:
    """As by `nm-bus init --replace`."""
    site.kill()
    site.path.unlink()
    identity = LedgerIdentity(PROJECT, site.node, "again", 0, "")
    create_ledger(site.path, identity, Position()).close()


def ask(site: Site, number: int, kind: str, key: str, value: dict[str, object] | None) -> None:
    change = Change(f"{ADMIN}/console/{number}", ADMIN, kind, key, value=value)
    site.ledger.propose(change, partial(site.answers.__setitem__, change.id))


def test_a_newcomer_that_is_asked_what_it_accepted_says_nothing_that_is_refused(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Arrival, "offered", lambda *_: None)  # as for a disk without room
    crowd = make_crowd(3)
    crowd.awake()
    first, second, _ = crowd
    second.put(1)
    crowd.settle()
    begin_again(first)
    first.start()
    second.kill()
    second.start()  # it asks all voters, and a newcomer is at the place of one
    crowd.clock.advance(5.0)  # and what it is told can be read


def test_a_new_incarnation_is_not_stopped_by_what_is_said_to_the_one_before(
    make_crowd: Make,
) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, second, _ = crowd
    second.put(1)
    crowd.settle()
    second.kill()
    first.kill()
    first.start()
    crowd.clock.advance(3.0)  # it asks the second one, which is away, what it accepted
    begin_again(first)
    first.start()
    crowd.clock.advance(3.0)
    second.start()  # and answers, to whoever is on that host now
    crowd.clock.advance(10.0)
    assert first.ledger.reason == ""
    assert first.ledger.state.revision == 1


def test_an_upgrade_that_found_no_room_is_proposed_again(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = make_crowd(1)
    crowd.awake()
    (site,) = crowd
    monkeypatch.setattr(own, "MOST_OWN", 0)
    restart(site, UPGRADED)
    crowd.clock.advance(60.0)
    monkeypatch.setattr(own, "MOST_OWN", 10_000)
    crowd.clock.advance(60.0)
    assert in_force(site.ledger.state) == 2


def test_a_standby_that_is_upgraded_last_is_not_stopped(make_crowd: Make) -> None:
    crowd = make_crowd(4)
    crowd.awake()
    standby, *voters = crowd
    ask(voters[0], 1, "admit", f"supernode/{standby.node}", {"role": "standby"})
    crowd.settle()
    assert voters[0].answers[f"{ADMIN}/console/1"].state == "agreed"
    for site in voters:
        restart(site, UPGRADED)
        crowd.awake()
    settle(crowd, range(1, 2))
    crowd.clock.advance(60.0)
    assert standby.ledger.reason == ""


def test_a_fork_is_over_when_who_had_it_was_dismissed(make_crowd: Make) -> None:
    crowd = make_crowd(4)
    crowd.awake()
    slipped, *others = crowd
    restart(slipped, SLIPPED)
    crowd.awake()
    others[0].put(1)
    crowd.clock.run(lambda: bool(slipped.ledger.reason), 60.0)
    slipped.kill()
    ask(others[0], 1, "dismiss", f"supernode/{slipped.node}", None)
    crowd.clock.run(lambda: others[0].answers.get(f"{ADMIN}/console/1") is not None, 120.0)
    assert others[0].answers[f"{ADMIN}/console/1"].state == "agreed"
    crowd.clock.advance(300.0)
    for site in others:
        assert not [one for one in troubles(site.ledger) if one.holds and one.kind is FORKED]


def test_an_offer_of_as_many_feeds_as_there_may_be_can_be_read(make_crowd: Make) -> None:
    crowd = make_crowd(2)
    crowd.awake()
    first, second = crowd
    state = first.ledger.state
    for number in range(MOST_FEEDS):
        feed = f"config/component-{number}"
        state.feeds[feed] = FeedPlace(feed, 1, "a" * 64, "b" * 64)
    said: list[bytes] = []

    def tell(_node: str, step: object) -> None:
        message = Ledger(first.node, "genesis", 1, 1, "0", step)  # type: ignore[arg-type]
        said.append(codec.encode(message, source=first.node, id="1", time=1.0))

    first.ledger._supplies.post = type("Post", (), {"tell": staticmethod(tell)})()
    first.ledger._supplies._offer(second.node, 0.0)
    found = codec.decode(said[0], limit=PEER_BYTES)
    assert not isinstance(found, codec.Rejected), found.detail


def test_only_the_next_slots_vote_is_adopted_since_no_head_was_compared_further_on(
    make_crowd: Make,
) -> None:
    """Its giver may turn out to have another history; its vote is promised on all the same."""
    crowd = make_crowd(3)
    crowd.awake()
    first, second, _ = crowd
    first.kill()
    first.start()
    crowd.clock.advance(0.1)
    ledger = first.ledger
    ballot = Ballot(0, second.ledger.voter_id)
    beyond = Cast(3, ballot, Batch(second.ledger.voter_id))
    other = Mark(2, 2, "f" * 64)  # of a history that is not ours, as will be found out at slot 2
    echo = Echo(ledger.identity.boot, ledger.identity.nonce)
    identity = second.ledger.identity
    ledger.take(
        second.node,
        Ledger(
            second.node,
            identity.incarnation,
            identity.epoch,
            identity.boot,
            identity.nonce,
            Recalled(2, echo, (beyond,)),
            identity.beginning,
            other,
        ),
    )
    assert 3 not in ledger.agreement.votes


def test_what_an_earlier_life_said_of_its_head_is_not_held_against_a_later_one(
    make_crowd: Make,
) -> None:
    """All three have one history in the end; the second never counts the first again."""
    crowd = make_crowd(3)
    crowd.awake()
    first, second, third = crowd
    crowd.lose((first, second), (third,))
    crowd.lose((third,), (first, second))
    disk = disk_of(first)
    first.put(1)
    crowd.clock.run(lambda: bool(casts(second.ledger.agreement.votes)), 60.0)
    crowd.lose((first,), (second,))  # it is decided, and that is not heard
    crowd.clock.run(lambda: first.ledger.state.revision == 1, 60.0)
    crowd.clock.advance(0.2)
    crowd.heal()
    crowd.lose((second,), (first,))
    crowd.lose((first, second), (third,))
    crowd.lose((third,), (first, second))
    crowd.clock.advance(3.0)  # the head is heard in a beat, and cannot be asked about
    assert second.ledger.height == 0
    lose_since(first, disk)
    crowd.heal()
    crowd.lose((second,), (first, third))
    crowd.lose((first, third), (second,))
    first.start()
    third.put(2)
    crowd.clock.run(lambda: first.ledger.state.revision == 1, 120.0)
    crowd.heal()
    crowd.clock.advance(30.0)
    assert len({site.ledger.state.head for site in crowd}) == 1
    assert [site.ledger.reason for site in crowd] == ["", "", ""]
    third.kill()
    second.put(3)
    crowd.clock.run(lambda: second.ledger.state.revision == 2, 120.0)


def test_two_that_differ_say_that_one_history_must_be_chosen(make_crowd: Make) -> None:
    crowd = make_crowd(2)
    crowd.awake()
    slipped, sound = crowd
    restart(slipped, SLIPPED)
    crowd.awake()
    sound.put(1)
    crowd.clock.run(lambda: all(site.ledger.reason for site in crowd), 60.0)
    for site in crowd:
        assert "choose whose history stays; there nm-bus init --new-epoch" in site.ledger.reason
