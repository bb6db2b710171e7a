"""Who lives no more is not heard, another history is not counted, and who is early waits."""

from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.boots import KEEP_ONE, Boots
from nm_bus.core.ledger.effects import Pace
from nm_bus.core.ledger.guard import Guard, Spoken
from nm_bus.core.ledger.heads import Heads
from nm_bus.messages import (
    Accept,
    Accepted,
    Ballot,
    Batch,
    Beat,
    Cast,
    Echo,
    Log,
    Mark,
    Recalled,
    Step,
)
from nm_lab.simulate.tally import TallyMachine

ME, A, B = "me#genesis", "a#genesis", "b#genesis"
VOTERS = frozenset((ME, A, B))
HERE, OTHER = Mark(3, 3, "ours"), Mark(3, 3, "theirs")
BALLOT = Ballot(1, A)


def guard(height: int = 3) -> Guard[str]:
    agreement = Agreement(ME, TallyMachine(VOTERS), Pace(), lambda: 0.0, height=height)
    heads = Heads()
    heads.begin([HERE])
    return Guard(agreement, Boots(ME, 2, "mine"), heads)


def said(step: Step, mark: Mark = HERE, boot: int = 1, nonce: str = "n") -> Spoken:
    return Spoken(boot, nonce, mark, step)


def test_a_living_peer_with_the_own_history_counts_and_its_first_word_is_a_new_life() -> None:
    here = guard()
    words = [here.hear(A, said(Beat(3)), VOTERS) for _ in range(2)]
    assert [(word.is_heard, word.counts, word.is_new_life) for word in words] == [
        (True, True, True),
        (True, True, False),
    ]


def test_a_life_that_has_ended_is_not_heard() -> None:
    here = guard()
    here.hear(A, said(Beat(3), boot=2), VOTERS)
    assert not here.hear(A, said(Beat(3), boot=1), VOTERS).is_heard


def test_who_has_another_history_is_shown_that_when_it_asks_and_not_otherwise() -> None:
    here = guard()
    word = here.hear(A, said(Beat(3), OTHER), VOTERS)
    assert (word.is_heard, word.counts, word.stop) == (True, False, "")
    assert word.answer == Log(4, (), 3, HERE)
    assert here.hear(A, said(Accepted(4, BALLOT), OTHER), VOTERS).answer is None


def test_a_log_that_goes_on_from_another_head_does_not_count() -> None:
    assert not guard().hear(A, said(Log(4, (), 9, OTHER), Mark(9, 9, "far")), VOTERS).counts


def test_with_too_many_of_another_history_it_stops_and_halves_are_told_to_choose() -> None:
    here = guard()
    here.hear(A, said(Beat(3), OTHER), VOTERS)
    assert "init --replace" in here.hear(B, said(Beat(3), OTHER), VOTERS).stop
    two = guard().hear(A, said(Beat(3), OTHER), frozenset((ME, A)))
    assert two.stop.endswith(KEEP_ONE)


def test_what_one_of_another_history_has_seen_of_this_file_counts_all_the_same() -> None:
    beat = Beat(3, {ME: Echo(2, "another")})
    assert "another process" in guard().hear(A, said(beat, OTHER), VOTERS).stop


def test_what_an_earlier_life_claimed_is_forgotten() -> None:
    here = guard()
    here.hear(A, said(Beat(4), Mark(4, 4, "lost")), VOTERS)
    here.hear(A, said(Beat(3), boot=2), VOTERS)
    assert here.reached([Mark(4, 4, "ours")], VOTERS) == ""
    assert here.hear(A, said(Beat(3), boot=2), VOTERS).counts


def test_a_question_about_a_later_slot_waits_until_that_is_the_next_one() -> None:
    here = guard()
    assert not here.is_early(A, Accept(4, BALLOT, Batch(A)), "next")
    assert here.is_early(A, Accept(5, BALLOT, Batch(A)), "first")
    assert here.is_early(A, Accept(5, BALLOT, Batch(A)), "again")
    assert here.is_early(B, Accept(6, BALLOT, Batch(A)), "later")
    assert here.due() == []
    here.agreement.height = 4
    assert here.due() == [(A, "again")]
    assert here.due() == []


def test_it_tells_a_new_life_what_it_knows_of_it_and_what_it_accepted() -> None:
    here = guard()
    here.hear(A, said(Beat(3)), VOTERS)
    here.agreement.adopt((Cast(4, BALLOT, Batch(A)),), 0.0, 0)
    told = here.memory_of(A)
    assert told == Recalled(3, Echo(1, "n", 3), (Cast(4, BALLOT, Batch(A)),))
    assert guard(height=-1).memory_of(A) is None
