"""A new epoch: the chain goes on, one supernode decides, and nobody gets it by asking."""

from nm_bus.core.ledger.applying import apply
from nm_bus.core.ledger.chain import head_of
from nm_bus.core.ledger.epochs import begin, beginning, next_epoch, why_not
from nm_bus.core.ledger.follower import Alarm, Apply, Follower, Load, Place
from nm_bus.core.ledger.genesis import genesis
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.syncing import synced
from nm_bus.messages import Change, Update
from nm_bus.project import FirstSupernode, Project
from nm_bus.testing.past import KeptUpdates

ADMIN = "admin.example"
NODES = ("sn1.example", "sn2.example", "sn3.example")
SURVIVOR = "sn2.example#genesis"
MOMENT = 1_764_000_000_000_000  # 2025-11-24 16:00 UTC


def grown(feed: KeptUpdates) -> State:
    """A ledger with two members and a document."""
    state = genesis(Project("test", tuple(map(FirstSupernode, NODES)), (ADMIN,)))
    for number, node in enumerate(("a.example", "b.example"), 1):
        join = Change(f"{ADMIN}/a/{number}", ADMIN, "join", f"member/{node}", value={})
        put(state, join, feed)
    put(state, Change(f"{ADMIN}/a/3", ADMIN, "set", "config/c/d", value={"content": "x"}), feed)
    return state


def put(state: State, change: Change, feed: KeptUpdates) -> None:
    applied = apply(state, change, state.time + 1)
    assert applied.update is not None, applied.answer
    feed.kept.append(applied.update)


def renewed(state: State, feed: KeptUpdates) -> Update:
    applied = begin(state, beginning(state, SURVIVOR, "root", MOMENT))
    assert applied.update is not None
    feed.kept.append(applied.update)
    return applied.update


def test_it_is_the_next_revision_and_link_of_the_chain_and_says_who_and_from_where() -> None:
    state = grown(KeptUpdates())
    before, revision = state.head, state.revision
    update = renewed(state, KeptUpdates())
    assert (update.revision, update.previous, update.epoch) == (revision + 1, before, state.epoch)
    assert update.head == state.head == head_of(update)
    assert update.change.value == {
        "epoch": 20251124160000,
        "revision": revision,
        "head": before,
        "by": "root",
        "without": ["sn1.example#genesis", "sn3.example#genesis"],
    }


def test_the_survivor_decides_alone_and_has_all_members() -> None:
    state = grown(KeptUpdates())
    renewed(state, KeptUpdates())
    assert state.voters == {SURVIVOR}
    assert not state.standbys
    assert {entry.value["home"] for entry in state.under("member/")} == {"sn2.example"}


def test_the_same_ledger_and_command_give_the_same_epoch() -> None:
    one, other = grown(KeptUpdates()), grown(KeptUpdates())
    renewed(one, KeptUpdates())
    renewed(other, KeptUpdates())
    assert one == other


def test_of_two_epochs_the_one_that_began_later_has_the_greater_number() -> None:
    first = next_epoch(1, MOMENT)
    assert next_epoch(1, MOMENT + 1_000_000) > first
    assert next_epoch(first, MOMENT - 86_400_000_000) == first + 1


def test_who_is_no_supernode_begins_none() -> None:
    state = grown(KeptUpdates())
    assert "no supernode" in why_not(state, "sn2.example#another")
    assert why_not(state, SURVIVOR) == ""


def test_nobody_gets_one_by_asking_for_it() -> None:
    state = grown(KeptUpdates())
    asked = beginning(state, SURVIVOR, "root", MOMENT)
    answer = apply(state, asked, state.time + 1).answer
    assert (answer.state, answer.code) == ("refused", "unknown-key")
    assert state.epoch == 1


def test_a_follower_that_had_more_takes_a_snapshot_and_then_follows_the_new_epoch() -> None:
    feed, beyond = KeptUpdates(), KeptUpdates()
    state, lost = grown(feed), grown(beyond)
    for number in range(4, 9):  # agreed by those that are lost
        change = Change(f"{ADMIN}/a/{number}", ADMIN, "set", "config/c/d", value={"content": "y"})
        put(lost, change, beyond)
    follower = Follower(Place(lost.epoch, lost.revision, lost.head))
    begun = renewed(state, feed)
    assert follower.take(begun) == []
    question = follower.question
    assert question is not None
    (alarm,) = follower.answered(question, synced(question, state, feed))
    assert isinstance(alarm, Alarm)
    question = follower.question
    assert question is not None
    load, *_ = follower.answered(question, synced(question, state, feed))
    assert isinstance(load, Load)
    assert follower.place == Place(state.epoch, state.revision, state.head)
    put(state, Change(f"{ADMIN}/a/4", ADMIN, "set", "config/c/d", value={"content": "z"}), feed)
    assert follower.take(feed.kept[-1]) == [Apply(feed.kept[-1])]


def test_a_follower_of_the_new_epoch_never_goes_back_to_the_old_one() -> None:
    feed, beyond = KeptUpdates(), KeptUpdates()
    state, lost = grown(feed), grown(beyond)
    renewed(state, feed)
    for number in range(4, 9):
        change = Change(f"{ADMIN}/a/{number}", ADMIN, "set", "config/c/d", value={"content": "y"})
        put(lost, change, beyond)
    place = Place(state.epoch, state.revision, state.head)
    follower = Follower(place)
    for update in beyond.kept:
        assert follower.take(update) == []
    follower.reconnected()
    question = follower.question
    assert question is not None
    answer = synced(question, lost, beyond)
    assert answer.state == "lag"
    assert not any(isinstance(move, Apply | Load) for move in follower.answered(question, answer))
    assert follower.place == place
