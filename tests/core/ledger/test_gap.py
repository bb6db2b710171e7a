from nm_bus.core.ledger.gap import BUFFERED, Gap
from nm_bus.messages import Ballot, Decided


def decided(slot: int) -> Decided:
    return Decided(slot, Ballot(1, "a"))


def test_a_decision_beyond_the_next_slot_is_kept_until_it_is_taken() -> None:
    gap = Gap()
    gap.keep("a", decided(7), height=4)
    assert gap.take(6) is None
    assert gap.take(7) == ("a", decided(7))
    assert gap.take(7) is None


def test_neither_the_next_slot_nor_one_far_ahead_is_kept() -> None:
    gap = Gap()
    for slot in (4, 5, 5 + BUFFERED):
        gap.keep("a", decided(slot), height=4)
        assert gap.take(slot) is None


def test_what_was_decided_here_is_kept_no_longer() -> None:
    gap = Gap()
    gap.keep("a", decided(7), height=4)
    gap.keep("b", decided(8), height=4)
    gap.close(7)
    assert gap.take(7) is None
    assert gap.take(8) == ("b", decided(8))


def test_it_is_not_asked_again_before_the_answer_may_have_come() -> None:
    gap = Gap()
    assert gap.may_ask("a", 4, now=10.0, patience=2.0)
    assert not gap.may_ask("b", 4, now=11.9, patience=2.0)
    assert gap.may_ask("a", 5, now=11.9, patience=2.0), "another gap"
    assert gap.may_ask("b", 5, now=13.9, patience=2.0)


def test_who_gave_no_answer_is_asked_again_later_than_another_one() -> None:
    gap = Gap()
    assert gap.may_ask("a", 4, now=10.0, patience=2.0)
    assert not gap.may_ask("a", 4, now=12.9, patience=2.0)
    assert gap.may_ask("b", 4, now=12.9, patience=2.0)
    assert not gap.may_ask("b", 4, now=15.8, patience=2.0)
    assert gap.may_ask("b", 4, now=15.9, patience=2.0), "there may be no other one"
