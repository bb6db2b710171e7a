"""Principals are served in turn, each in the order of what he asked."""

import pytest

from nm_bus.core.turns import Turns


def drained(turns: Turns[int]) -> list[tuple[str, int]]:
    return [turns.pop() for _ in range(len(turns))]


def test_many_requests_of_one_principal_delay_only_its_own() -> None:
    turns: Turns[int] = Turns(100, 100)
    for number in range(4):
        turns.push("a", number)
    turns.push("b", 10)
    turns.push("c", 20)
    assert drained(turns) == [("a", 0), ("b", 10), ("c", 20), ("a", 1), ("a", 2), ("a", 3)]


def test_what_is_too_much_is_not_taken_in_all_or_of_one() -> None:
    turns: Turns[int] = Turns(3, 2)
    assert [turns.push("a", n) for n in range(3)] == [True, True, False]
    assert [turns.push("b", n) for n in range(2)] == [True, False]
    assert len(turns) == 3
    turns.pop()
    assert turns.push("c", 1)


def test_who_waits_no_more_is_not_in_it() -> None:
    turns: Turns[int] = Turns(3, 2)
    turns.push("a", 1)
    assert "a" in turns
    turns.pop()
    assert "a" not in turns
    with pytest.raises(KeyError):
        turns.pop()


def test_what_is_put_back_is_the_first_of_its_own_after_the_others_turn() -> None:
    turns: Turns[int] = Turns(3, 2)
    turns.push("a", 1)
    turns.push("a", 2)
    turns.push("b", 10)
    turns.put_back(*turns.pop())
    assert drained(turns) == [("b", 10), ("a", 1), ("a", 2)]
    turns.put_back("c", 20)
    assert drained(turns) == [("c", 20)]
