"""Which message is new: repeats, gaps, restarts, and numbers that nobody can have counted."""

import pytest

from nm_bus.core.sequence import LARGEST_JUMP, REMEMBERED, Novelty, Sequence


def test_the_next_number_is_next_and_misses_nothing() -> None:
    sequence = Sequence("a", 1)
    assert sequence.accept("a", 2) is Novelty.NEXT
    assert (sequence.number, sequence.missed) == (2, 0)


def test_a_gap_counts_what_was_missed() -> None:
    sequence = Sequence("a", 1)
    assert sequence.accept("a", 5) is Novelty.NEXT
    assert sequence.missed == 3


@pytest.mark.parametrize("number", [1, 7, 10])
def test_what_is_not_beyond_the_last_number_is_repeated(number: int) -> None:
    sequence = Sequence("a", 10)
    assert sequence.accept("a", number) is Novelty.REPEATED
    assert sequence.number == 10


def test_a_new_incarnation_starts_anew_wherever_its_numbers_begin() -> None:
    sequence = Sequence("a", 1_000)
    assert sequence.accept("b", 3) is Novelty.RESTARTED
    assert sequence.accept("b", 4) is Novelty.NEXT


def test_what_a_replaced_incarnation_said_before_is_never_believed_again() -> None:
    sequence = Sequence("a", 10)
    sequence.accept("b", 1)
    assert sequence.accept("a", 10) is Novelty.REPEATED
    assert sequence.incarnation == "b"


def test_a_replaced_incarnation_that_goes_on_counting_is_a_rival() -> None:
    sequence = Sequence("a", 10)
    sequence.accept("b", 1)
    assert sequence.accept("a", 11) is Novelty.RIVAL
    assert sequence.accept("a", 11) is Novelty.REPEATED
    assert sequence.accept("b", 2) is Novelty.NEXT


def test_a_rival_that_is_the_only_one_left_is_taken_back() -> None:
    sequence = Sequence("a", 10)
    sequence.accept("b", 5)
    sequence.take_back("a", 12)
    assert sequence.accept("a", 13) is Novelty.NEXT
    assert sequence.accept("b", 5) is Novelty.REPEATED


def test_a_leap_beyond_what_anyone_can_count_does_not_move_it() -> None:
    sequence = Sequence("a", 10)
    assert sequence.accept("a", 11 + LARGEST_JUMP) is Novelty.FAR
    assert sequence.accept("a", 11) is Novelty.NEXT


def test_one_message_with_the_largest_number_does_not_evict_its_successors() -> None:
    sequence = Sequence("a", 10)
    sequence.accept("forged", 2**53 - 1)
    assert sequence.accept("b", 1) is Novelty.RESTARTED
    assert sequence.accept("b", 2) is Novelty.NEXT


def test_the_memory_of_replaced_incarnations_is_bounded() -> None:
    sequence = Sequence()
    for number in range(100):
        sequence.accept(f"life {number}", 1)
    assert len(sequence.replaced) == REMEMBERED
