"""Whether what several processes saw can be explained by one order, in which each operation takes
effect at one moment between its call and its return.

Wing and Gong, "Testing and Verifying Concurrent Objects", 1993, with Lowe's memory of what was
tried ("Testing for Linearizability", 2017). An order exists for all keys when one does for each.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from nm_bus.messages import Seconds

NEVER: Seconds = math.inf
"""When an operation returned whose outcome nobody learned: it may take effect late, or not at all.
"""

MOST_TRIED = 2_000_000
"""After how many steps a search is given up; a history of a few hundred operations takes few."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one process asked, and what it was told; `returned` is NEVER when it was told nothing.

    A process has one operation at a time; after one without an outcome it goes on as another.
    """

    process: str
    called: Seconds
    returned: Seconds
    kind: str
    argument: Any = None
    result: Any = None
    key: str = ""

    @property
    def is_known(self) -> bool:
        """Whether its outcome is known."""
        return self.returned != NEVER


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """What an object does when it is used by one at a time.

    `step` gives the state after an operation, or None when the operation's result cannot be had in
    that state. States can be hashed, and None is no state.
    """

    initial: Hashable
    step: Callable[[Any, Operation], Hashable | None]


class TooManyOrdersError(Exception):
    """The search was given up: use shorter histories, or more keys."""


def flaw(history: Iterable[Operation], kind: ObjectKind) -> str:
    """Why no order explains the history, in one sentence; empty when one does.

    Raises TooManyOrdersError.
    """
    for key, operations in groupby(sorted(history, key=_by_key), key=lambda one: one.key):
        stuck = _Search(list(operations), kind).run()
        if stuck:
            return f"{key or 'the history'}: {stuck}"
    return ""


def _by_key(operation: Operation) -> tuple[str, Seconds, Seconds]:
    return operation.key, operation.called, operation.returned


class _Search:
    """A search through the orders of one key's operations, depth first, without recursion.

    `done` is a set of operations as the bits of a number.
    """

    def __init__(self, operations: list[Operation], kind: ObjectKind) -> None:
        self._operations, self._kind = operations, kind
        self._needed = sum(1 << n for n, one in enumerate(operations) if one.is_known)
        self._tried: set[tuple[int, Hashable]] = set()
        self._furthest = (0, kind.initial)

    def run(self) -> str:
        """Empty when there is an order."""
        path = [self._onwards(0, self._kind.initial)]
        while path:
            found = next(path[-1], None)
            if found is None:
                path.pop()
                continue
            done, state = found
            if done & self._needed == self._needed:
                return ""
            path.append(self._onwards(done, state))
        return self._stuck() if self._needed else ""

    def _onwards(self, done: int, state: Hashable) -> Iterator[tuple[int, Hashable]]:
        """Where one more operation leads, if nobody has been there."""
        for n in self._next(done):
            operation = self._operations[n]
            after = self._kind.step(state, operation)
            place = (done | 1 << n, after)
            if after is None or place in self._tried:
                continue
            if after == state and not operation.is_known:
                continue  # nothing came of it: whether it was done need not be known
            if len(self._tried) == MOST_TRIED:
                raise TooManyOrdersError(f"{len(self._operations)} operations: use fewer a key")
            self._tried.add(place)
            if place[0].bit_count() > self._furthest[0].bit_count():
                self._furthest = place
            yield place

    def _next(self, done: int) -> Iterator[int]:
        """What may come next: whatever was called before the first that is open returned."""
        first_return = NEVER
        start = (~done & (done + 1)).bit_length() - 1
        for n in range(start, len(self._operations)):
            operation = self._operations[n]
            if done >> n & 1:
                continue
            if operation.called > first_return:
                return
            first_return = min(first_return, operation.returned)
            yield n

    def _stuck(self) -> str:
        done, state = self._furthest
        open_ = ", ".join(_told(self._operations[n]) for n in self._next(done))
        return (
            f"after {done.bit_count()} operations, at {state!r}, none of these can follow: {open_}"
        )


def _told(operation: Operation) -> str:
    result = repr(operation.result) if operation.is_known else "unknown"
    return f"{operation.process} {operation.kind}({operation.argument!r}) -> {result}"


def _register(state: Any, operation: Operation) -> Hashable | None:
    value = state[0]
    match operation.kind:
        case "read":
            return state if _is(operation, value) else None
        case "write":
            return (operation.argument,)
        case "cas":
            expected, new = operation.argument
            if not _is(operation, value == expected):
                return None
            return (new,) if value == expected else (value,)
    raise ValueError(f"a register has no {operation.kind!r}")


def _lock(state: Any, operation: Operation) -> Hashable | None:
    """The state: who holds it; the token of the holder, or the last one; whether it is known.

    A token that was not told is only known to be higher than the last that was.
    """
    holder, token, is_told = state
    session = operation.argument
    match operation.kind:
        case "holder":
            return state if _is(operation, holder) else None
        case "lock" if holder is None:
            return _granted(token, operation)
        case "lock" if holder == session and not is_told:
            return _granted(token, operation)
        case "lock":
            return state if _is(operation, token if holder == session else 0) else None
        case "unlock" if not _is(operation, holder == session):
            return None
        case "unlock" | "end":
            return (None, token, True) if holder == session else state
    raise ValueError(f"a lock has no {operation.kind!r}")


def _granted(before: int, operation: Operation) -> Hashable | None:
    """A new holder has a higher token; one whose answer was lost has one that nobody knows yet."""
    if not operation.is_known:
        return operation.argument, before, False
    higher = operation.result > before
    return (operation.argument, operation.result, True) if higher else None


def _is(operation: Operation, result: object) -> bool:
    return not operation.is_known or bool(operation.result == result)


REGISTER = ObjectKind((None,), _register)
"""`read` -> value, `write(value)`, `cas((expected, new))` -> whether it was as expected.

Nothing is None. Different writes should write different values: else less is found.
"""

LOCK = ObjectKind((None, 0, True), _lock)
"""`lock(session)` -> its token, or 0 while another holds it; `unlock(session)` -> whether it held
it; `end(session)`: the session is over, and with it what it held, and a later one has another name;
`holder` -> session or None. Tokens grow, and who locks again has the same one.
"""
