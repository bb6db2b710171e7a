"""One survivor goes on alone: nothing it has is lost, and the old epoch never mixes in."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from nm_agents.folder import own_folder
from nm_agents.supernode.ledger.creation import begin_again
from nm_agents.supernode.ledger.new_epoch import Survivor, renew, survey
from nm_bus.core.ledger.follower import Follower, Place
from nm_bus.core.ledger.syncing import synced
from nm_bus.errors import ConfigError
from nm_bus.messages import Change
from nm_bus.settings import Broker, SupernodeSettings, Tls
from nm_bus.storage.ledger import NEWCOMER, open_ledger

from .conftest import ADMIN, PROJECT, Crowd, Site

Make = Callable[..., Crowd]

DAY = 1_764_000_000_000_000
TLS = Tls(Path("ca"), Path("certificate"), Path("key"))


def settings_of(site: Site) -> SupernodeSettings:
    """Settings whose folder has the site's file."""
    folder = site.path.parent / site.node
    folder.mkdir(exist_ok=True)
    site.path = site.path.rename(folder / "ledger.db")
    return SupernodeSettings(PROJECT, site.node, folder, Broker(site.node), TLS)


def renewed(settings: SupernodeSettings, moment: int = DAY) -> Survivor:
    _, after = renew(settings, by="root", moment=moment, sign=lambda change: change)
    return after


def lost_majority(make_crowd: Make) -> tuple[Site, Site, Site]:
    """Three supernodes with a few revisions, of which only the last one still runs."""
    crowd = make_crowd(3)
    crowd.awake()
    first, second, third = crowd
    for number in range(1, 4):
        first.put(number)
    crowd.settle()
    first.kill()
    second.kill()
    return first, second, third


def test_a_survivor_goes_on_alone_and_agrees_on_what_waited(make_crowd: Make) -> None:
    first, _, third = lost_majority(make_crowd)
    assert third.put(1) == "accepted"
    first.clock.advance(30.0)
    assert third.answers == {}
    third.kill()
    settings = settings_of(third)
    before = survey(settings)
    assert (before.epoch, before.revision, before.waiting) == (1, 3, 1)
    after = renewed(settings)
    assert (after.epoch, after.revision) == (20251124160000, 4)
    ledger = third.start()
    first.clock.run(lambda: ledger.state.revision == 5, 60.0)
    assert ledger.is_awake
    updates = ledger.updates(0, 100)
    assert [update.revision for update in updates] == [1, 2, 3, 4, 5]
    assert all(a.head == b.previous for a, b in pairwise(updates))
    assert [update.epoch for update in updates] == [1, 1, 1, after.epoch, after.epoch]
    assert ledger.state.voters == {third.ledger.voter_id}


def test_a_supernode_of_the_old_epoch_stops_and_says_that_it_is_over(make_crowd: Make) -> None:
    first, second, third = lost_majority(make_crowd)
    third.kill()
    renewed(settings_of(third))
    third.start()
    old, other = first.start(), second.start()
    first.put(9)
    first.clock.run(lambda: bool(old.reason and other.reason), 60.0)
    assert "epoch 1 is over" in old.reason
    assert "init --replace" in old.reason
    assert old.standing().state == "stopped"
    first.clock.advance(60.0)
    assert third.ledger.state.revision == 4
    assert third.ledger.reason == ""


def test_of_two_survivors_that_both_began_one_the_later_goes_on(make_crowd: Make) -> None:
    _, second, third = lost_majority(make_crowd)
    third.kill()
    renewed(settings_of(third))
    renewed(settings_of(second), DAY + 60_000_000)
    earlier, later = third.start(), second.start()
    second.clock.run(lambda: bool(earlier.reason), 60.0)
    assert "is over" in earlier.reason
    assert second.put(9) == "accepted"
    second.clock.run(lambda: later.state.revision == 5, 60.0)
    assert earlier.state.revision == 4


def test_a_lost_supernode_joins_anew_and_what_it_had_accepted_is_agreed(make_crowd: Make) -> None:
    first, second, third = lost_majority(make_crowd)
    first.start()
    third.kill()
    assert first.put(9) == "accepted"
    first.clock.advance(1.0)
    first.kill()
    renewed(settings_of(third))
    made = begin_again(settings_of(first))
    assert made.carried == 1
    ledger = third.start()
    newcomer = first.start()
    first.clock.run(lambda: newcomer.state.epoch == ledger.state.epoch, 60.0)
    for number, role in enumerate(("standby", "voter"), 1):
        value = {"incarnation": made.incarnation, "role": role}
        change = Change(
            f"{ADMIN}/c/{number}", ADMIN, "admit", f"supernode/{first.node}", value=value
        )
        ledger.propose(change, partial(third.answers.__setitem__, change.id))
        first.clock.run(partial(third.answers.__contains__, change.id), 120.0)
        assert third.answers[change.id].state == "agreed", third.answers[change.id]
    first.clock.run(
        lambda: (
            newcomer.is_awake
            and not newcomer.agreement.outbox
            and newcomer.state.head == ledger.state.head
        ),
        120.0,
    )
    entry = ledger.state.get(f"config/{first.node}/document")
    assert entry is not None
    assert entry.value["content"] == "9"
    assert len(ledger.state.voters) == 2
    assert second.process is None


def test_a_follower_of_the_lost_ones_is_reset_and_goes_on_with_the_survivor(
    make_crowd: Make,
) -> None:
    first, _, third = lost_majority(make_crowd)
    third.kill()
    with closing(open_ledger(first.path)) as store:
        lost = store.position
    follower = Follower(Place(1, lost.revision, lost.head))
    renewed(settings_of(third))
    ledger = third.start()
    for _ in range(3):
        question = follower.question
        if question is not None:
            follower.answered(question, synced(question, ledger.state, ledger))
    state = ledger.state
    assert follower.place == Place(state.epoch, state.revision, state.head)
    assert follower.question is None


def test_a_running_supernode_is_left_alone(make_crowd: Make) -> None:
    _, _, third = lost_majority(make_crowd)
    third.kill()
    settings = settings_of(third)
    before = settings.folder.joinpath("ledger.db").read_bytes()
    with own_folder(settings.folder), pytest.raises(ConfigError, match="stop it"):
        renewed(settings)
    assert settings.folder.joinpath("ledger.db").read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"incarnation": "stranger"}, "no supernode"), ({"epoch": NEWCOMER}, "knows nothing")],
)
def test_a_newcomer_and_a_stranger_begin_none(
    make_crowd: Make, wrong: dict[str, Any], said: str
) -> None:
    _, _, third = lost_majority(make_crowd)
    third.kill()
    settings = settings_of(third)
    with closing(open_ledger(third.path)) as store:
        store.keep_identity(structs.replace(store.identity, **wrong))
    with pytest.raises(ConfigError, match=said):
        survey(settings)


def test_of_a_damaged_file_nothing_is_taken_over(make_crowd: Make) -> None:
    first, _, third = lost_majority(make_crowd)
    third.kill()
    settings = settings_of(first)
    first.path.write_bytes(b"no database" * 1_000)
    made = begin_again(settings)
    assert made.carried == 0
    assert made.aside is not None
    assert made.aside.exists()
