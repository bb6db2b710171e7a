"""What several askers at once are told can be explained by one order, however often they ask again.

Hypothesis plays the askers and what lies between them and the ledger: a change is applied some time
after it was asked for, perhaps once more later, and its answer may be lost.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from nm_bus.core.ledger.applying import Applied, apply
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change, Proposed
from nm_lab.samples.desk import Desk
from nm_lab.simulate.linearizability import LOCK, NEVER, REGISTER, ObjectKind, Operation, flaw

ASKERS = ("admin", "pub", "eve")
DOCUMENT, LOCKED = "config/search/a", "lock/x"

Applying = Callable[[State, Change, int], Applied]
Told = tuple[float, str, Any, Change]
"""When it was asked, what as an operation, and the change."""


def session(asker: str) -> dict[str, str]:
    return {"session": f"session/{asker}/s"}


class Askers(RuleBasedStateMachine):
    """Askers with one change each on its way at most, at one ledger."""

    kind: ObjectKind
    applying: Applying = staticmethod(apply)

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.now = 0.0
        self.asking: dict[str, Told] = {}
        self.answers: dict[str, Proposed] = {}
        self.past: list[Change] = []
        self.history: list[Operation] = []

    @initialize()
    def sessions(self) -> None:
        for asker in ASKERS:
            self.desk.done(asker, "open", f"session/{asker}/s", {"ttl": 1_000})

    def moment(self) -> float:
        self.now += 1
        return self.now

    def ask(self, asker: str, operation: tuple[str, Any], change: Change) -> None:
        if asker not in self.asking:
            self.asking[asker] = (self.moment(), *operation, change)

    def change(self, asker: str, kind: str, key: str, value: Any, **more: Any) -> Change:
        id_ = f"{asker}/test/{int(self.now) + 1}"
        return Change(id_, asker, kind, key, value=value, **more)

    def apply(self, change: Change) -> Proposed:
        self.past.append(change)
        self.desk.state.time += 1
        return type(self).applying(self.desk.state, change, self.desk.state.time).answer

    @precondition(lambda self: self.asking)
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        """A change has its turn; the last answer is the one that is told."""
        asker = data.draw(st.sampled_from(sorted(self.asking)))
        self.answers[asker] = self.apply(self.asking[asker][-1])

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def decide_again(self, data: st.DataObject) -> None:
        """A change that was asked for at two supernodes, or was long on its way."""
        self.apply(data.draw(st.sampled_from(self.past)))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        asker = data.draw(st.sampled_from(sorted(self.answers)))
        self.note(asker, self.moment(), self.answers.pop(asker))

    @precondition(lambda self: self.asking)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """The answer is lost, the change perhaps not."""
        asker = data.draw(st.sampled_from(sorted(self.asking)))
        self.past.append(self.asking[asker][-1])
        self.answers.pop(asker, None)
        self.note(asker, NEVER, None)

    def note(self, asker: str, returned: float, answer: Proposed | None) -> None:
        called, kind, argument, _ = self.asking.pop(asker)
        result = None if answer is None else self.result(kind, answer)
        self.history.append(Operation(asker, called, returned, kind, argument, result))

    def result(self, kind: str, answer: Proposed) -> Any:
        raise NotImplementedError

    def teardown(self) -> None:
        for asker in list(self.asking):
            self.note(asker, NEVER, None)
        self.look()
        assert flaw(self.history, self.kind) == ""

    def look(self) -> None:
        """What the ledger holds in the end must fit as well."""
        raise NotImplementedError


class Documents(Askers):
    """Versions of a document, each asked for on the condition that the one before is as seen."""

    kind = REGISTER

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, str | None]] = [(0, None)]

    @rule(asker=st.sampled_from(ASKERS[:2]), data=st.data())
    def put(self, asker: str, data: st.DataObject) -> None:
        revision, content = data.draw(st.sampled_from(self.seen))
        new = f"by {asker} at {self.now}"
        value = {"content": new}
        change = self.change(asker, "set", DOCUMENT, value, expected=revision)
        self.ask(asker, ("cas", (content, new)), change)

    @rule()
    def read(self) -> None:
        entry = self.desk.state.get(DOCUMENT)
        content = entry.value["content"] if entry else None
        if entry is not None:
            self.seen.append((entry.revision, content))
        self.history.append(Operation("reader", self.moment(), self.now, "read", None, content))

    def result(self, kind: str, answer: Proposed) -> bool:
        assert answer.state == "agreed" or answer.code == "conflict"
        return answer.state == "agreed"

    def look(self) -> None:
        self.read()


class Locks(Askers):
    """A lock that all want."""

    kind = LOCK

    @rule(asker=st.sampled_from(ASKERS), kind=st.sampled_from(("lock", "unlock")))
    def use(self, asker: str, kind: str) -> None:
        named = session(asker)
        self.ask(asker, (kind, named["session"]), self.change(asker, kind, LOCKED, named))

    def result(self, kind: str, answer: Proposed) -> int | bool:
        agreed = answer.state == "agreed"
        assert agreed or answer.code in ("held", "unknown-key")
        return answer.revision if kind == "lock" else agreed

    def look(self) -> None:
        entry = self.desk.state.get(LOCKED)
        holder = entry.value["session"] if entry else None
        self.history.append(Operation("reader", self.moment(), self.now, "holder", None, holder))


TestDocuments = Documents.TestCase
TestLocks = Locks.TestCase
TestDocuments.settings = TestLocks.settings = settings(max_examples=60, deadline=None)


def test_a_lock_whose_answer_was_lost_is_told_its_token_when_asked_again() -> None:
    askers = Locks()
    askers.sessions()
    for is_lost in (True, False):
        askers.use("eve", "lock")
        answer = askers.apply(askers.asking["eve"][-1])
        if is_lost:
            askers.note("eve", NEVER, None)
        else:
            askers.note("eve", askers.moment(), answer)
    assert askers.history[-1].result > 0
    askers.teardown()


def forgets_answers(state: State, change: Change, time: int) -> Applied:
    """A slip: a change that comes twice is done twice."""
    state.answers = type(state.answers)()
    return apply(state, change, time)


def expects_nothing(state: State, change: Change, time: int) -> Applied:
    """A slip: a plain `set` where a condition was asked for."""
    return apply(state, msgspec.structs.replace(change, expected=None), time)


def frees_first(state: State, change: Change, time: int) -> Applied:
    """A slip: a lock is granted whoever holds it."""
    if change.kind == "lock" and state.get(LOCKED) is not None:
        state.drop(LOCKED)
    return apply(state, change, time)


ENOUGH = settings(max_examples=1_000, deadline=None, database=None, phases=[Phase.generate])
"""To find a slip; the smallest example of it is of no use to anyone."""

SLIPS = [
    (Documents, expects_nothing),
    (Locks, frees_first),
    (Locks, forgets_answers),
]


@pytest.mark.parametrize(("machine", "slip"), SLIPS, ids=lambda one: one.__name__)
def test_a_slip_in_applying_is_found(machine: type[Askers], slip: Applying) -> None:
    wrong = type("Wrong", (machine,), {"applying": staticmethod(slip)})
    with pytest.raises(AssertionError, match="none of these can follow"):
        run_state_machine_as_test(wrong, settings=ENOUGH)
