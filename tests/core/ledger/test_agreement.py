"""One supernode's part in an agreement, event by event; whole federations are in testing/ledger."""

from dataclasses import dataclass, field

import pytest

from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.effects import (
    Effect,
    KeepBatch,
    KeepChange,
    KeepVote,
    Pace,
    Send,
    SendLog,
    Vote,
)
from nm_bus.messages import (
    Accept,
    Accepted,
    Ballot,
    Batch,
    Change,
    ChangeId,
    Decided,
    Fetch,
    Log,
    Nack,
    Prepare,
    Promise,
    Step,
    Submit,
    VoterId,
)

A, B, C, D = "a#1", "b#1", "c#1", "d#1"
PACE = Pace(delay=1.0, resend=4.0, suspect=3.0)


@dataclass
class Seen:
    """A machine that remembers what was decided."""

    voters: frozenset[VoterId] = frozenset((A, B, C))
    standbys: frozenset[VoterId] = frozenset((D,))
    decided: dict[int, Batch] = field(default_factory=dict)
    knows_rules: bool = True

    def apply(self, slot: int, batch: Batch) -> None:
        self.decided[slot] = batch

    def is_answered(self, change: ChangeId) -> bool:
        return any(change == c.id for batch in self.decided.values() for c in batch.changes)


def agreement(
    me: VoterId = A,
    machine: Seen | None = None,
    author: VoterId = A,
    votes: dict[int, Vote] | None = None,
) -> Agreement:
    return Agreement(
        me, machine or Seen(), PACE, lambda: 0.0, height=1, author=author, votes=votes or {}
    )


def change(number: int, at: VoterId = A, timestamp: int = 0) -> Change:
    node = at.partition("#")[0]
    return Change(f"p/1/{number}", "p", "set", "k", timestamp=timestamp, supernode=node)


def batch(*numbers: int, author: VoterId = A) -> Batch:
    return Batch(author, 0, tuple(change(number) for number in numbers))


def sent(effects: list[Effect]) -> list[tuple[VoterId, Step]]:
    return [(e.to, e.step) for e in effects if isinstance(e, Send)]


def test_the_last_author_asks_for_votes_at_once_with_its_own_on_disk() -> None:
    one = change(1)

    effects = agreement().offer(one, 0.0, 0)

    vote = Vote(Ballot(0, A), Ballot(0, A), batch(1))
    accept = Accept(2, Ballot(0, A), batch(1))
    assert effects == [KeepChange(one), KeepVote(2, vote), Send(B, accept), Send(C, accept)]


def test_a_majority_of_votes_decides_and_everyone_is_told() -> None:
    machine = Seen()
    author = agreement(machine=machine)
    author.offer(change(1), 0.0, 0)

    effects = author.receive(B, Accepted(2, Ballot(0, A)), 1.0, 0)

    assert KeepBatch(2, batch(1)) in effects
    assert machine.decided == {2: batch(1)}
    assert sent(effects) == [
        (B, Decided(2, Ballot(0, A))),
        (C, Decided(2, Ballot(0, A), batch(1))),
        (D, Decided(2, Ballot(0, A), batch(1))),
    ]
    assert author.outbox == {}


def test_one_voter_that_answers_twice_is_no_majority() -> None:
    machine = Seen(voters=frozenset((A, B, C, D, "e#1")))
    author = agreement(machine=machine)
    author.offer(change(1), 0.0, 0)

    for _ in range(3):
        author.receive(B, Accepted(2, Ballot(0, A)), 1.0, 0)

    assert machine.decided == {}


def test_others_hand_their_changes_to_the_last_author() -> None:
    effects = agreement(B).offer(change(1, B), 0.0, 0)

    assert sent(effects) == [(A, Submit((change(1, B),)))]


def test_a_standby_whose_author_cannot_propose_asks_a_voter() -> None:
    standby = agreement(D, author=D)

    effects = standby.offer(change(1, D), 0.0, 0)

    assert sent(effects) == [(A, Submit((change(1, D),)))]


def test_when_the_author_is_silent_another_one_asks_first() -> None:
    other = agreement(B)
    other.offer(change(1, B), 0.0, 0)

    assert sent(other.tick(3.0, 0)) == []
    effects = other.tick(3.1, 0)

    assert effects[0] == KeepVote(2, Vote(Ballot(1, B)))
    assert (A, Prepare(2, Ballot(1, B))) in sent(effects)


def test_what_was_accepted_last_is_proposed_again() -> None:
    other = agreement(B, machine=Seen(voters=frozenset((A, B, C, D, "e#1"))))
    other.offer(change(9, B), 0.0, 0)
    other.tick(3.1, 0)
    older, newer = batch(1), batch(2, author=C)

    other.receive(A, Promise(2, Ballot(1, B), Ballot(0, A), older), 4.0, 0)
    effects = other.receive(C, Promise(2, Ballot(1, B), Ballot(0, C), newer), 4.0, 0)

    assert (A, Accept(2, Ballot(1, B), newer)) in sent(effects)


def test_below_a_promise_nothing_is_promised_or_accepted() -> None:
    votes = {2: Vote(Ballot(3, C))}

    for step in (Prepare(2, Ballot(2, B)), Accept(2, Ballot(2, B), batch(1))):
        effects = agreement(votes=dict(votes)).receive(B, step, 0.0, 0)
        assert effects == [Send(B, Nack(2, Ballot(2, B), Ballot(3, C)))]


def test_a_promise_tells_what_was_accepted() -> None:
    acceptor = agreement(votes={2: Vote(Ballot(0, B), Ballot(0, B), batch(1))})

    effects = acceptor.receive(C, Prepare(2, Ballot(1, C)), 0.0, 0)

    assert effects == [
        KeepVote(2, Vote(Ballot(1, C), Ballot(0, B), batch(1))),
        Send(C, Promise(2, Ballot(1, C), Ballot(0, B), batch(1))),
    ]


def test_an_author_that_restarts_does_not_use_round_zero_again() -> None:
    voted = Vote(Ballot(0, A), Ballot(0, A), batch(1))
    author = agreement(votes={2: voted})
    author.offer(change(2), 0.0, 0)

    effects = author.tick(2.0, 0)

    assert effects[0] == KeepVote(2, Vote(Ballot(1, A), Ballot(0, A), batch(1)))
    assert (B, Prepare(2, Ballot(1, A))) in sent(effects)


def test_what_somebody_began_is_brought_to_its_end_without_an_own_change() -> None:
    acceptor = agreement(C, author=B)
    acceptor.receive(B, Accept(2, Ballot(0, B), batch(1, author=B)), 0.0, 0)

    assert sent(acceptor.tick(0.9, 0)) == []
    assert (B, Prepare(2, Ballot(1, C))) in sent(acceptor.tick(1.1, 0))


def test_after_a_refusal_the_next_ballot_is_higher_and_comes_later() -> None:
    other = agreement(B)
    other.offer(change(1, B), 0.0, 0)
    other.tick(3.1, 0)

    other.receive(A, Nack(2, Ballot(1, B), Ballot(7, C)), 3.5, 0)

    assert (A, Prepare(2, Ballot(8, B))) not in sent(other.tick(4.4, 0))
    assert (A, Prepare(2, Ballot(8, B))) in sent(other.tick(4.6, 0))


def test_who_asks_about_a_decided_slot_is_told_the_log() -> None:
    assert agreement().receive(B, Prepare(1, Ballot(1, B)), 0.0, 0) == [SendLog(B, 1)]


def test_who_is_behind_fetches_once_and_goes_on_with_what_came_early() -> None:
    machine = Seen()
    late = agreement(C, machine)
    early = late.receive(A, Decided(3, Ballot(0, A), batch(2)), 0.0, 0)
    again = late.behind(B, 9, 1.0, 0)

    late.receive(A, Log(2, (batch(1),), 2), 1.0, 0)

    assert sent(early) == [(A, Fetch(2))]
    assert sent(again) == []
    assert machine.decided == {2: batch(1), 3: batch(2)}


def test_a_decision_may_name_the_batch_that_was_accepted() -> None:
    machine = Seen()
    acceptor = agreement(B, machine)
    acceptor.receive(A, Accept(2, Ballot(0, A), batch(1)), 0.0, 0)

    acceptor.receive(A, Decided(2, Ballot(0, A)), 1.0, 0)

    assert machine.decided == {2: batch(1)}
    assert acceptor.votes == {}


def test_a_change_whose_clock_is_wild_is_left_out_until_its_time_comes() -> None:
    author = agreement(machine=Seen(voters=frozenset((A,))))
    wild = change(1, timestamp=100_000_000)
    author.offer(wild, 0.0, 0)
    assert author.waiting.left_out == {wild.id: wild}

    effects = author.tick(1.0, 50_000_000)

    assert author.waiting.left_out == {}
    assert wild in next(e.batch.changes for e in effects if isinstance(e, KeepBatch))


def test_a_change_that_is_decided_is_not_taken_again() -> None:
    machine = Seen(decided={1: batch(1)})

    assert agreement(machine=machine).offer(change(1), 0.0, 0) == []


def test_a_lone_voter_decides_by_itself() -> None:
    machine = Seen(voters=frozenset((A,)))

    agreement(machine=machine).offer(change(1), 0.0, 0)

    assert machine.decided == {2: batch(1)}


def test_a_snapshot_must_be_ahead() -> None:
    with pytest.raises(ValueError, match="not ahead"):
        agreement().installed(1, B)


def test_a_snapshot_takes_the_place_of_votes_and_changes_up_to_it() -> None:
    machine = Seen()
    votes = {2: Vote(Ballot(1, B)), 9: Vote(Ballot(1, C))}
    late = agreement(B, machine, votes=votes)
    late.offer(change(1, B), 0.0, 0)
    machine.decided[5] = batch(1)

    late.installed(5, C)

    assert (late.height, late.author, late.outbox) == (5, C, {})
    assert late.votes == {9: Vote(Ballot(1, C))}
