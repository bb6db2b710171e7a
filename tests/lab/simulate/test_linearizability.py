"""The checker of histories: known good and bad ones, and all small ones against every order."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_lab.simulate import linearizability
from nm_lab.simulate.linearizability import (
    LOCK,
    NEVER,
    REGISTER,
    ObjectKind,
    Operation,
    TooManyOrdersError,
    flaw,
)

GOOD_REGISTERS = {
    "nothing happened": [],
    "one after the other": [
        Operation("a", 0, 1, "write", 1),
        Operation("b", 2, 3, "read", None, 1),
    ],
    "a read beside a write may see what was before": [
        Operation("a", 0, 5, "write", 1),
        Operation("b", 1, 2, "read", None, None),
        Operation("b", 3, 4, "read", None, 1),
    ],
    "an unknown write is seen late": [
        Operation("a", 0, NEVER, "write", 1),
        Operation("b", 1, 2, "read", None, None),
        Operation("b", 8, 9, "read", None, 1),
    ],
    "an unknown write is never seen": [
        Operation("a", 0, NEVER, "cas", (None, 1)),
        Operation("b", 1, 2, "cas", (None, 2), True),
    ],
    "of two at once, one is as expected": [
        Operation("a", 0, 3, "cas", (None, 1), True),
        Operation("b", 0, 3, "cas", (None, 2), False),
    ],
    "each key for itself": [
        Operation("a", 0, 1, "write", 1, key="x"),
        Operation("b", 2, 3, "read", None, None, key="y"),
    ],
}

BAD_REGISTERS = {
    "a stale read": [
        Operation("a", 0, 1, "write", 1),
        Operation("b", 2, 3, "read", None, None),
    ],
    "a value that goes away again": [
        Operation("a", 0, 9, "write", 1),
        Operation("b", 1, 2, "read", None, 1),
        Operation("c", 3, 4, "read", None, None),
    ],
    "two win": [
        Operation("a", 0, 3, "cas", (None, 1), True),
        Operation("b", 0, 3, "cas", (None, 2), True),
    ],
    "a value that nobody wrote": [Operation("a", 0, 1, "read", None, 7)],
    "an unknown write takes effect twice": [
        Operation("a", 0, NEVER, "write", 1),
        Operation("b", 1, 2, "read", None, 1),
        Operation("b", 3, 4, "write", 2),
        Operation("b", 5, 6, "read", None, 1),
    ],
    "one key of two": [
        Operation("a", 0, 1, "write", 1, key="x"),
        Operation("a", 2, 3, "write", 2, key="y"),
        Operation("b", 4, 5, "read", None, 1, key="y"),
    ],
}

GOOD_LOCKS = {
    "held, freed, held by another": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("b", 2, 3, "lock", "b", 0),
        Operation("a", 4, 6, "unlock", "a", True),
        Operation("b", 5, 7, "lock", "b", 9),
        Operation("b", 8, 9, "lock", "b", 9),
    ],
    "an answer was lost": [
        Operation("a", 0, NEVER, "lock", "a"),
        Operation("b", 2, 3, "lock", "b", 0),
        Operation("c", 4, 5, "holder", None, "a"),
    ],
    "who locks again is given the token whose answer was lost": [
        Operation("a", 0, NEVER, "lock", "a"),
        Operation("a", 2, 3, "lock", "a", 5),
        Operation("a", 4, 5, "lock", "a", 5),
        Operation("b", 6, 7, "lock", "b", 0),
    ],
    "an unlock whose answer was lost took effect": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("a", 2, NEVER, "unlock", "a"),
        Operation("b", 4, 5, "lock", "b", 7),
        Operation("a", 6, 7, "unlock", "a", False),
    ],
    "an unlock whose answer was lost took no effect": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("a", 2, NEVER, "unlock", "a"),
        Operation("a", 4, 5, "lock", "a", 5),
        Operation("b", 6, 7, "lock", "b", 0),
    ],
    "a session that is over holds nothing": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("a", 2, 4, "end", "a"),
        Operation("b", 3, 5, "lock", "b", 7),
    ],
}

BAD_LOCKS = {
    "two holders": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("b", 0, 1, "lock", "b", 6),
    ],
    "a token that does not grow": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("a", 2, 3, "unlock", "a", True),
        Operation("b", 4, 5, "lock", "b", 5),
    ],
    "two tokens for one hold": [
        Operation("a", 0, NEVER, "lock", "a"),
        Operation("a", 2, 3, "lock", "a", 5),
        Operation("a", 4, 5, "lock", "a", 6),
    ],
    "a token that was learned late and does not grow": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("a", 2, 3, "unlock", "a", True),
        Operation("b", 4, NEVER, "lock", "b"),
        Operation("b", 6, 7, "lock", "b", 5),
    ],
    "still held after its session is over": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("a", 2, 3, "end", "a"),
        Operation("b", 4, 5, "holder", None, "a"),
    ],
    "freed by one who did not hold it": [
        Operation("a", 0, 1, "lock", "a", 5),
        Operation("b", 2, 3, "unlock", "b", True),
    ],
}

VALUES = st.sampled_from((None, 1, 2))


@pytest.mark.parametrize("name", GOOD_REGISTERS)
def test_a_register_that_one_order_explains_has_no_flaw(name: str) -> None:
    assert flaw(GOOD_REGISTERS[name], REGISTER) == ""


@pytest.mark.parametrize("name", BAD_REGISTERS)
def test_a_register_that_no_order_explains_has_one(name: str) -> None:
    assert flaw(BAD_REGISTERS[name], REGISTER) != ""


@pytest.mark.parametrize("name", GOOD_LOCKS)
def test_a_lock_with_one_holder_at_a_time_has_no_flaw(name: str) -> None:
    assert flaw(GOOD_LOCKS[name], LOCK) == ""


@pytest.mark.parametrize("name", BAD_LOCKS)
def test_a_lock_that_is_none_has_one(name: str) -> None:
    assert flaw(BAD_LOCKS[name], LOCK) != ""


def test_the_flaw_names_the_key_and_what_cannot_follow() -> None:
    said = flaw(BAD_REGISTERS["one key of two"], REGISTER)
    assert said == "y: after 1 operations, at (2,), none of these can follow: b read(None) -> 1"


def test_a_search_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linearizability, "MOST_TRIED", 1_000)
    many = [Operation(f"p{n}", 0, 9, "write", n) for n in range(30)]
    with pytest.raises(TooManyOrdersError):
        flaw([*many, Operation("q", 10, 11, "read", None, "what nobody wrote")], REGISTER)


def test_a_thousand_operations_of_ten_processes_are_checked() -> None:
    writes = [Operation(f"p{n % 10}", n, n + 9.5, "write", n) for n in range(1_000)]
    reads = [Operation("q", n + 0.1, n + 0.2, "read", None, n) for n in range(1_000)]
    assert flaw([*writes, *reads], REGISTER) == ""


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    called = draw(st.integers(0, 6))
    kind = draw(st.sampled_from(("read", "write", "cas")))
    returned = draw(st.one_of(st.just(NEVER), st.integers(called, 8)))
    argument: object = None
    result: object = None
    match kind:
        case "read":
            result = draw(VALUES)
        case "write":
            argument = draw(VALUES)
        case "cas":
            argument, result = (draw(VALUES), draw(VALUES)), draw(st.booleans())
    return Operation("p", called, returned, kind, argument, result)


@given(st.lists(operations(), max_size=5))
def test_a_small_history_is_judged_as_by_trying_every_order(history: list[Operation]) -> None:
    known = [one for one in history if one.is_known]
    unknown = [one for one in history if not one.is_known]
    choices = [
        known + [one for n, one in enumerate(unknown) if chosen >> n & 1]
        for chosen in range(1 << len(unknown))
    ]
    possible = any(
        _explains(order, REGISTER) for choice in choices for order in permutations(choice)
    )
    assert (flaw(history, REGISTER) == "") is possible


def _explains(order: tuple[Operation, ...], kind: ObjectKind) -> bool:
    state = kind.initial
    for n, operation in enumerate(order):
        if any(later.returned < operation.called for later in order[n:]):
            return False
        after = kind.step(state, operation)
        if after is None:
            return False
        state = after
    return True
