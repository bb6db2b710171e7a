"""What was accepted is agreed, what was agreed is everywhere, whatever links and processes do."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import permutations
from pathlib import Path
from random import Random

import pytest

from nm_agents.supernode.ledger.composing import FILE
from nm_agents.supernode.ledger.creation import begin
from nm_agents.supernode.ledger.part import troubles
from nm_bus.codes import TOO_OLD
from nm_bus.core.alerts.conditions import Condition
from nm_bus.core.alerts.kinds import LEDGER_FORKED as FORKED
from nm_bus.core.alerts.kinds import LEDGER_PEER_IGNORED as IGNORED
from nm_bus.core.ledger import answers
from nm_bus.core.ledger.boots import MOST_KNOWN
from nm_bus.core.ledger.effects import casts
from nm_bus.messages import Beat, Change, Ledger, Proposed
from nm_bus.project import FirstSupernode, Project
from nm_bus.settings import Broker, SupernodeSettings, Tls
from nm_bus.storage import retention
from nm_bus.storage.ledger import NEWCOMER, LedgerIdentity, create_ledger, open_ledger
from nm_bus.storage.position import Position
from nm_bus.testing.links import Trouble
from nm_bus.topology import LinkKind

from .conftest import ADMIN, PROJECT, Crowd, Site, copy_of, disk_of, lose_since, make_ledger

Make = Callable[..., Crowd]

BAD = Trouble(delay=0.1, jitter=0.7, loss=0.1, duplicates=0.2, reordering=0.3)


YEAR = 365 * 86_400.0


def held(site: Site) -> list[Condition]:
    """What is wrong with a ledger, as it would be told."""
    return [each for each in troubles(site.ledger) if each.holds]


def heads(site: Site) -> list[tuple[int, str, str]]:
    """Every revision in a supernode's feed, with its head and its change."""
    updates = site.ledger.updates(0, 10_000)
    return [(each.revision, each.head, each.change.id) for each in updates]


def accepted(site: Site) -> list[int]:
    """The slots that a supernode voted in and does not know the outcome of."""
    return [cast.slot for cast in casts(site.ledger.agreement.votes)]


def test_a_change_is_agreed_at_every_supernode(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, *others = crowd
    assert first.put(1) == "accepted"
    crowd.settle()
    (answer,) = first.answers.values()
    assert (answer.state, answer.revision) == ("agreed", 1)
    assert all(site.ledger.state.revision == 1 for site in others)


def test_alone_it_agrees_with_itself_at_once(make_crowd: Make) -> None:
    crowd = make_crowd(1)
    (site,) = crowd
    assert site.put(1) == "accepted"
    assert site.put(1) == "agreed"
    assert site.ledger.state.revision == 1


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_or_done_twice_while_supernodes_are_killed(
    make_crowd: Make, seed: int
) -> None:
    crowd = make_crowd(5, trouble=BAD, seed=seed)
    random = Random(seed)
    accepted: set[str] = set()
    for number in range(1, 41):
        for site in crowd:
            if site.process is not None and site.put(number) == "accepted":
                accepted.add(f"{ADMIN}/{site.node}/{number}")
        crowd.clock.advance(random.random() * 2)
        one = random.choice(list(crowd))
        if one.process is None:
            one.start()
        elif random.random() < 0.4:
            one.kill()
    for site in crowd:
        if site.process is None:
            site.start()
    crowd.settle()
    for site in crowd:  # who was killed asks again, with the same ids
        for number in range(1, 41):
            site.put(number)
            accepted.add(f"{ADMIN}/{site.node}/{number}")
    crowd.settle()
    first, *others = (heads(site) for site in crowd)
    assert [revision for revision, _, _ in first] == list(range(1, 201))
    assert {change for _, _, change in first} == accepted
    assert all(other == first for other in others)
    assert not any(site.ledger.reason for site in crowd)
    for site in crowd:
        for answer in site.answers.values():
            assert {each.ledger.state.answer(answer.id) for each in crowd} == {answer}


def test_what_was_accepted_by_a_killed_supernode_is_agreed_when_it_is_back(
    make_crowd: Make,
) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, *others = crowd
    first.put(1)
    first.kill()
    others[0].put(2)
    crowd.clock.run(lambda: others[1].ledger.state.revision == 1, 60.0)
    first.start()
    crowd.settle()
    assert [change for _, _, change in heads(first)] == [
        f"{ADMIN}/{others[0].node}/2",
        f"{ADMIN}/{first.node}/1",
    ]


def test_a_life_takes_up_all_that_the_last_one_had(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    site = next(iter(crowd))
    for number in range(1, 6):
        site.put(number)
    crowd.settle()
    before, height = site.ledger.state.snapshot(), site.ledger.height
    site.kill()
    site.start()
    assert site.ledger.state.snapshot() == before
    assert site.ledger.height == height
    assert site.put(3) == "agreed"


def test_who_is_far_behind_takes_a_snapshot_and_goes_on(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOG_SLOTS", 3)
    crowd = make_crowd(3, trouble=BAD)
    crowd.awake()
    first, second, third = crowd
    third.put(1)
    crowd.settle()
    third.kill()
    for number in range(1, 21):
        first.put(number)
        crowd.settle()
    installed: list[int] = []
    third.start().on_installed(lambda: installed.append(third.ledger.state.revision))
    third.put(2)
    crowd.settle()
    assert installed == [21]
    crowd.clock.run(lambda: third.ledger.feed_from == 0, 60.0)
    assert heads(third) == heads(first), "the past was fetched too"
    assert third.ledger.state.snapshot() == second.ledger.state.snapshot()
    third.kill()
    third.start()
    assert third.ledger.state.snapshot() == second.ledger.state.snapshot()


def test_a_new_life_listens_until_the_others_know_it(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    first, *others = crowd
    assert first.ledger.standing().state == "listening"
    crowd.awake()
    assert first.ledger.standing().state == "running"
    for site in crowd:
        site.kill()
    first.start()
    first.put(1)
    crowd.clock.advance(60.0)
    assert not first.ledger.is_awake
    others[0].start()
    crowd.clock.run(lambda: first.ledger.state.revision == 1, 60.0)


def test_a_file_that_was_rolled_back_stops_and_says_what_to_do(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, second, _ = crowd
    first.kill()
    backup = copy_of(first.path, "backup")
    first.start()
    for number in range(1, 4):
        second.put(number)
    crowd.settle()
    first.kill()
    backup.rename(first.path)
    first.start()
    crowd.clock.run(lambda: bool(first.ledger.reason), 60.0)
    assert "nm-bus init --replace" in first.ledger.reason
    assert first.ledger.standing().state == "stopped"
    assert not first.ledger.is_awake
    second.put(4)
    crowd.clock.run(lambda: second.ledger.state.revision == 4, 60.0)


def test_what_was_seen_of_a_file_survives_a_loss_of_power_everywhere(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, second, _ = crowd
    first.kill()
    backup = copy_of(first.path, "backup")
    first.start()
    second.put(1)
    crowd.settle()
    second.put(2)
    crowd.settle()
    for site in crowd:
        site.kill()
    backup.rename(first.path)
    for site in crowd:
        site.start()
    crowd.clock.run(lambda: bool(first.ledger.reason), 60.0)
    assert "rolled back" in first.ledger.reason or "another process" in first.ledger.reason


def test_a_slot_decided_again_after_a_lost_vote_stops_its_first_proposer_when_it_is_back(
    make_crowd: Make,
) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    voted, proposer, third = crowd
    crowd.lose((voted, proposer), (third,))
    disk = disk_of(voted)
    proposer.put(1)
    crowd.clock.run(lambda: proposer.ledger.state.revision == 1, 60.0)
    proposer.kill()
    lose_since(voted, disk)
    crowd.clock.advance(1.0)
    crowd.heal()
    voted.start()
    third.put(2)
    crowd.clock.run(lambda: third.ledger.state.revision == 1, 120.0)

    proposer.start()
    started = crowd.clock.now()
    crowd.clock.run(lambda: bool(proposer.ledger.reason), 60.0)
    assert crowd.clock.now() - started <= 2 * proposer.timing.beat
    assert f"not that of {voted.node}, {third.node}: at revision 1" in proposer.ledger.reason
    assert "nm-bus init --replace" in proposer.ledger.reason
    third.put(3)
    crowd.clock.run(lambda: voted.ledger.state.revision == 2, 60.0)
    crowd.clock.advance(5.0)
    assert [site.ledger.reason for site in (voted, third)] == ["", ""]
    for site in (voted, third):
        (told,) = [each for each in held(site) if each.kind is FORKED]
        assert proposer.node in told.summary


def test_of_five_a_lost_vote_is_made_up_for_by_another_one_that_accepted(make_crowd: Make) -> None:
    crowd = make_crowd(5)
    crowd.awake()
    voted, proposer, witness, *others = crowd
    crowd.lose((voted, proposer, witness), others)
    disk = disk_of(voted)
    proposer.put(1)
    crowd.clock.run(lambda: bool(accepted(voted) and accepted(witness)), 60.0)
    crowd.lose((voted, proposer), (witness,))
    crowd.clock.run(lambda: proposer.ledger.state.revision == 1, 60.0)
    proposer.kill()
    lose_since(voted, disk)
    crowd.clock.advance(1.0)
    crowd.heal()
    crowd.lose(crowd, others)  # they hear nothing of it before it votes again
    voted.start()
    crowd.clock.run(lambda: accepted(voted) == [1], 60.0)
    witness.kill()
    crowd.heal()
    others[0].put(2)
    crowd.clock.run(lambda: others[0].ledger.state.revision == 2, 200.0)
    assert next(change for _, _, change in heads(others[0])).endswith(f"{proposer.node}/1")

    for site in (proposer, witness):
        site.start()
    crowd.settle()
    assert not any(site.ledger.reason for site in crowd)


def test_of_a_ledger_and_its_copy_at_most_one_goes_on(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, second, _ = crowd
    first.kill()
    twin = Site(
        first.node,
        copy_of(first.path, "copy"),
        first.peers,
        first.clock,
        first.random,
        first.timing,
        first.broker,
    )
    first.start()
    crowd.clock.advance(1.0)
    twin.start()
    for number in range(1, 6):
        second.put(number)
        crowd.clock.advance(5.0)
    assert first.ledger.reason or twin.ledger.reason
    twin.kill()
    assert [revision for revision, _, _ in heads(second)] == [1, 2, 3, 4, 5]


def test_joining_anew_it_takes_a_snapshot_and_votes_once_admitted(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, second, _ = crowd
    second.put(1)
    crowd.settle()
    first.kill()
    first.path.unlink()
    create_ledger(
        first.path, LedgerIdentity(PROJECT, first.node, "again", 0, ""), Position()
    ).close()
    first.start()
    crowd.clock.run(lambda: first.ledger.state.revision == 1, 60.0)
    assert first.ledger.identity.epoch == 1
    for number, role in enumerate(("standby", "voter"), 1):
        value = {"incarnation": "again", "role": role}
        key = f"supernode/{first.node}"
        change = Change(f"{ADMIN}/console/{number}", ADMIN, "admit", key, value=value)
        second.ledger.propose(change, partial(second.answers.__setitem__, change.id))
        crowd.settle()
        assert second.answers[change.id].state == "agreed", second.answers[change.id]
    assert f"{first.node}#again" in first.ledger.state.voters
    first.put(2)
    crowd.settle()
    crowd.awake()
    first.kill()
    with closing(open_ledger(first.path)) as store:
        assert store.identity.epoch == 1


def test_a_clock_a_year_ahead_holds_nothing_up_also_after_it_was_set(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    first, second, _ = crowd
    crowd.awake()
    first.kill()
    first.start(ahead=YEAR)
    crowd.awake()
    first.put(1)
    second.put(1)
    crowd.settle()
    first.put(2)
    first.kill()
    first.start()
    crowd.awake()
    first.put(3)
    crowd.settle()
    assert {answer.state for answer in first.answers.values()} == {"agreed"}
    assert len({change for _, _, change in heads(second)}) == 4


def test_what_a_wild_clock_stamped_is_said_to_be_left_out(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    first, second, _ = crowd
    crowd.awake()
    second.put(1)
    crowd.settle()
    first.kill()
    first.start(ahead=YEAR)
    crowd.awake()
    first.put(1)
    crowd.clock.run(lambda: bool(second.ledger.agreement.waiting.foreign), 60.0)
    second.put(2)
    crowd.clock.run(lambda: bool(second.ledger.agreement.waiting.left_out), 60.0)
    (told,) = held(second)
    assert (told.kind.name, first.node in told.summary) == ("ledger-clock", True)
    crowd.settle()
    assert held(second) == []


def test_who_was_dismissed_meanwhile_learns_it_and_says_so(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    first, second, _ = crowd
    crowd.awake()
    first.kill()
    change = Change(f"{ADMIN}/console/1", ADMIN, "dismiss", f"supernode/{first.node}")
    second.ledger.propose(change, partial(second.answers.__setitem__, change.id))
    crowd.settle()
    first.start()
    crowd.settle()
    (told,) = held(first)
    assert f"nm-bus supernode add {first.node} --incarnation genesis" in told.summary
    assert held(second) == []


def of_another_beginning(site: Site) -> None:
    """As if `site` had been given a project file with another administrator."""
    names = (site.node, *site.peers)
    wrong = Project(PROJECT, tuple(map(FirstSupernode, sorted(names))), ("eve.example.org",))
    site.kill()
    site.path.unlink()
    make_ledger(site.path, site.node, wrong)


@pytest.mark.parametrize("count", [2, 3])
def test_who_began_with_another_project_file_is_not_voted_with(
    make_crowd: Make, count: int
) -> None:
    crowd = make_crowd(count)
    first, second, *others = crowd
    for site in (first, *others):
        site.kill()
    of_another_beginning(first)
    first.start()
    for site in (first, second):
        site.put(1)
    crowd.clock.advance(120.0)
    assert [site.ledger.height for site in (first, second)] == [0, 0]
    assert not first.ledger.is_awake
    assert first.ledger.peers.guard.boots.known == {}
    for one, other in permutations((first, second), 2):
        (told,) = [each for each in troubles(one.ledger) if each.kind is IGNORED]
        assert (told.subject, told.what) == (other.node, one.node)
        assert "init --replace --project FILE" in told.summary
        assert one.ledger.identity.beginning in told.summary


@pytest.mark.parametrize("count", [2, 3])
def test_the_way_out_of_two_beginnings_works_with_two_supernodes_and_with_three(
    make_crowd: Make, tmp_path: Path, count: int
) -> None:
    crowd = make_crowd(count)
    first, second, *_ = crowd
    of_another_beginning(first)
    first.start()
    first.put(1)
    second.put(1)
    crowd.clock.advance(60.0)
    first.kill()
    folder = tmp_path / "state"
    folder.mkdir()
    first.path = first.path.rename(folder / FILE)
    tls = Tls(Path("ca"), Path("certificate"), Path("key"))
    settings = SupernodeSettings(PROJECT, first.node, folder, Broker(first.node), tls)
    right = Project(PROJECT, tuple(map(FirstSupernode, crowd.sites)), (ADMIN,))
    made = begin(settings, right, Path("project.toml"), replace=True)
    assert (made.new, made.carried) == (True, 1)
    first.start()
    crowd.settle()
    assert [site.ledger.state.revision for site in crowd] == [2] * count
    assert not any(each.kind is IGNORED for site in crowd for each in troubles(site.ledger))


def test_a_newcomer_takes_the_beginning_from_the_others(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, second, _ = crowd
    second.put(1)
    crowd.settle()
    first.kill()
    first.path.unlink()
    create_ledger(
        first.path, LedgerIdentity(PROJECT, first.node, "new", NEWCOMER, ""), Position()
    ).close()
    first.start()
    crowd.settle()
    assert first.ledger.identity.beginning == second.ledger.identity.beginning


def test_an_epoch_of_a_date_that_has_not_come_stops_nobody_and_is_said(make_crowd: Make) -> None:
    crowd = make_crowd(2)
    crowd.awake()
    first, second = crowd
    beat = Ledger(second.node, "genesis", 20990101000000, 1, "n", Beat(0))
    assert first.ledger.take(second.node, beat) is None
    assert first.ledger.is_awake
    (told,) = [each for each in troubles(first.ledger) if each.kind is IGNORED]
    assert "20990101000000" in told.summary
    first.put(1)
    crowd.settle()
    assert first.ledger.state.revision == 1
    assert not any(each.kind is IGNORED for each in troubles(first.ledger))


def test_two_histories_are_found_out_until_one_of_them_begins_again(make_crowd: Make) -> None:
    crowd = make_crowd(2)
    crowd.awake()
    first, second = crowd
    ours, life = second.ledger, first.ledger.identity
    for number in range(1, 101):
        second.put(number)
    crowd.settle()
    beat = Beat(ours.height, revision=100, head="f" * 64, signer="s", signature="t")
    message = Ledger(first.node, life.incarnation, 1, life.boot, life.nonce, beat)
    ours.take(first.node, message)
    (fork,) = ours.peers.checkpoints.forks.values()
    assert (fork.node, fork.peer, fork.revision) == (second.node, first.node, 100)
    assert (fork.head, fork.other) == (ours.peers.checkpoints.head, "f" * 64)
    *_, alert = troubles(ours)
    assert alert.details == {"head": "f" * 64, "signer": "s", "signature": "t"}
    again = Ledger(first.node, "later", 1, 1, "other", Beat(-1))
    ours.take(first.node, again)
    assert not ours.peers.checkpoints.forks


def test_of_one_id_it_is_told_once_by_whoever_asked_last(make_crowd: Make) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first = next(iter(crowd))
    one: list[Proposed] = []
    other: list[Proposed] = []
    change = first.ledger.own_change("read", "read")
    assert first.ledger.propose(change, one.append) == "accepted"
    assert first.ledger.propose(change, other.append) == "accepted"
    crowd.settle()
    assert one == []
    assert [answer.state for answer in other] == ["agreed"]


def test_of_lives_without_number_no_more_are_told_than_others_take(make_crowd: Make) -> None:
    here, there = make_crowd(2)
    for number in range(MOST_KNOWN + 50):
        step = Ledger(there.node, f"x{number}", here.ledger.state.epoch, 1, "n", Beat(1))
        assert here.ledger.take(there.node, step) is None
    assert len(here.ledger.standing().heights) == MOST_KNOWN
    assert len(here.ledger._own_beat().echoes) == MOST_KNOWN


def test_what_was_decided_while_it_was_away_is_not_done_again_however_many_asked_meanwhile(
    make_crowd: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It returns by a snapshot that does not know who asked: an old value would come back."""
    monkeypatch.setattr(answers, "MOST_ASKERS", 4)
    monkeypatch.setattr(retention, "LOG_SLOTS", 3)
    crowd = make_crowd(3)
    crowd.awake()
    first, second, away = crowd
    ends = [pair for pair in permutations(crowd, 2) for _ in LinkKind]
    cut = [link for link, pair in zip(crowd.links, ends, strict=True) if away in pair]
    for link in cut:
        link.trouble = Trouble(loss=1.0)
    assert away.put(1, "a") == first.put(1, "a") == "accepted"
    others = first.ledger, second.ledger
    for revision in range(1, 22):
        crowd.clock.run(lambda r=revision: all(o.state.revision == r for o in others), 60.0)  # type: ignore[misc]
        id = f"{ADMIN}/new-{revision}/1"
        value = {"content": f"newer {revision}"}
        change = Change(id, ADMIN, "set", "config/a/document", revision, value)
        assert first.ledger.propose(change, lambda _: None) == "accepted"
    crowd.clock.run(lambda: all(one.state.revision == 22 for one in others), 60.0)
    newest = first.ledger.state.get("config/a/document")
    for link in cut:
        link.trouble = Trouble(delay=0.05)
    crowd.settle()
    assert away.ledger.feed_from > 1, "it took a snapshot"
    assert [site.ledger.state.get("config/a/document") for site in crowd] == [newest] * 3
    assert away.answers[f"{ADMIN}/a/1"].code == TOO_OLD
