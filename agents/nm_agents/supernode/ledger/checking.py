"""Changes that wait for their check: one is checked at a time, principals in turn.

The check itself is made elsewhere, in a process with limits (`nm_bus.checking`), so that neither
a document nor its schema holds up the loop, and one principal's costs the others one turn.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nm_agents.supernode.broker.worker import Worker
from nm_bus.checking.check import Check, OfDocument, OfRecord, is_needed
from nm_bus.checking.checker import Checker, NoCheckError
from nm_bus.codes import BAD_VALUE, UNAVAILABLE
from nm_bus.core.ledger.keys import name
from nm_bus.core.ledger.kinds import Form, kind_of
from nm_bus.core.ledger.roles import refusal
from nm_bus.core.ledger.rules.outcome import Refusal
from nm_bus.core.ledger.rules.values import flaw
from nm_bus.core.ledger.state import State
from nm_bus.core.turns import Turns
from nm_bus.documents.document import content_of
from nm_bus.errors import NmBusError
from nm_bus.messages import Change, ChangeId, Seconds
from nm_bus.transport.base import Transport

# --- What is wrong with a change that was not proposed yet.
#
# Only what no state can fix and what applying leaves out: the form, and the schema that a document
# or a record is held against. Who may ask for what is decided when a change is applied. What takes
# long is not done here: it is given as a check, for the process that makes them.


def check_of(change: Change, state: State) -> Check | str:
    """What has to be checked of a change before it is proposed, or what is wrong with it already.

    An empty text: it may be proposed. Schemas are used only for who may ask for the change, as far
    as is known here: holding a document against a schema costs time, and both are the asker's.
    """
    wrong = flaw(change)
    if wrong:
        return wrong
    kind = kind_of(change)
    if kind is None or kind.form is None or change.value is None:
        return ""
    if refusal(state, change, kind.may) is not None:
        return ""
    try:
        check = _MAKE[kind.form](change.key, change.value, state)
    except ValueError as error:
        return f"{change.key}: {error}"
    return check if is_needed(check) else ""


def _document(key: str, value: dict[str, Any], state: State) -> Check:
    before = state.get(key)
    kept = before.value.get("schema", "") if before else ""
    schema = value.get("schema", kept)
    text = schema if isinstance(schema, str) else ""
    return OfDocument(content_of(value), str(value.get("media_type", "")), text)


def _record(key: str, value: dict[str, Any], _state: State) -> Check:
    kind, _, _ = name(key).partition("/")
    return OfRecord(kind, value)


_MAKE: dict[Form, Callable[[str, dict[str, Any], State], Check]] = {
    Form.DOCUMENT: _document,
    Form.RECORD: _record,
}


MOST, MOST_OF_ONE = 500, 20
"""How many changes may wait for their check, in all and of one principal."""

PATIENCE: Seconds = 12.0
"""How long a change may wait for its turn."""

MOST_ASKING = 20
"""How often one change may be asked again while it waits; all of them are told together."""

REMEMBERED = 100
"""Refusals that are remembered: who was not answered in time asks again, and is answered."""

TOO_MANY = "too many changes wait for their check; ask again in a moment"
TOO_OFTEN = "the change waits for its check, and was asked too often; ask again in a moment"
TOO_LATE = f"other changes were checked for {PATIENCE:g} s, and this one was not yet; ask again"

Judge = Callable[[Check, Callable[[str | NmBusError], None]], None]
"""Makes a check and tells what is wrong, or why there was no check: once, now or later."""

Checked = Callable[[Refusal | None], None]

NONE: tuple[Change | None, Refusal | None] = None, None


@contextmanager
def judge_of(transport: Transport) -> Iterator[Judge]:
    """A judge with a process and a thread of its own, which end with it."""
    with closing(Checker()) as checker, closing(Worker(transport)) as worker:
        yield lambda check, done: worker.call(partial(checker.once, check), done)


@dataclass(slots=True, eq=False)
class QueuedCheck:
    """A change in the queue."""

    change: Change
    since: Seconds
    asking: list[Checked]
    """Who is told: whoever asks again meanwhile is told as well, up to MOST_ASKING."""
    tried: bool = False
    """Whether it had a turn in which no check was made."""

    def ask(self, checked: Checked) -> None:
        """Tell this one as well."""
        if len(self.asking) < MOST_ASKING:
            self.asking.append(checked)
        else:
            checked(Refusal(UNAVAILABLE, TOO_OFTEN))

    def told(self, refusal: Refusal | None) -> None:
        """Tell all that ask."""
        for checked in self.asking:
            checked(refusal)


@dataclass(slots=True)
class Checking:
    """The queue. Each asker's changes are told in the order in which they came."""

    transport: Transport
    state: Callable[[], State]
    judge: Judge
    _turns: Turns[QueuedCheck] = field(default_factory=lambda: Turns(MOST, MOST_OF_ONE))
    _checked: str = ""
    """Whose change is being checked."""
    _open: dict[ChangeId, QueuedCheck] = field(default_factory=dict)
    _refused: OrderedDict[ChangeId, tuple[Change, Refusal]] = field(default_factory=OrderedDict)

    def take(self, who: str, change: Change, checked: Checked) -> None:
        """Tell what is wrong with a change: at once when nothing has to be checked.

        One that is asked again is not checked again: its check goes on, or its refusal is known.
        """
        waiting, (before, refusal) = self._open.get(change.id), self._refused.get(change.id, NONE)
        if waiting is not None and waiting.change == change:
            waiting.ask(checked)
        elif before == change:
            checked(refusal)
        else:
            self._take(who, change, checked)

    def _take(self, who: str, change: Change, checked: Checked) -> None:
        found, waiting = check_of(change, self.state()), self._waiting(change, checked)
        if isinstance(found, str) and who != self._checked and who not in self._turns:
            checked(_refusal(found))
        elif not self._turns.push(who, waiting):
            checked(Refusal(UNAVAILABLE, TOO_MANY))
        else:
            self._open[change.id] = waiting
            self._next()

    def _waiting(self, change: Change, checked: Checked) -> QueuedCheck:
        return QueuedCheck(change, self.transport.now(), [checked])

    def _ended(self, waiting: QueuedCheck, refusal: Refusal | None) -> None:
        if self._open.get(waiting.change.id) is waiting:
            del self._open[waiting.change.id]
        # one that the ledger has answered meanwhile came by another supernode: that answer counts
        is_answered = self.state().answer(waiting.change.id) is not None
        if refusal is not None and refusal.code == BAD_VALUE and not is_answered:
            self._refused[waiting.change.id] = waiting.change, refusal
            while len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)
        waiting.told(refusal)

    def _next(self) -> None:
        """Go on to the next one that has to be checked, unless one is being checked."""
        while self._turns and not self._checked:
            who, waiting = self._turns.pop()
            found = check_of(waiting.change, self.state())
            if self._is_late(waiting):
                self._ended(waiting, Refusal(UNAVAILABLE, TOO_LATE))
            elif isinstance(found, str):
                self._ended(waiting, _refusal(found))
            else:
                self._checked = who
                self.judge(found, partial(self._judged, waiting, found))

    def _judged(self, waiting: QueuedCheck, check: Check, said: str | NmBusError) -> None:
        who, self._checked = self._checked, ""
        if isinstance(said, NoCheckError) and not waiting.tried and not self._is_late(waiting):
            waiting.tried = True
            self._turns.put_back(who, waiting)
        elif isinstance(said, NmBusError):
            self._ended(waiting, Refusal(UNAVAILABLE, f"the change was not checked: {said}"))
        elif check_of(waiting.change, self.state()) != check:
            # the schema that it was held against is not in force any more
            self._turns.put_back(who, waiting)
        else:
            self._ended(waiting, _refusal(f"{waiting.change.key} {said}" if said else ""))
        self._next()

    def _is_late(self, waiting: QueuedCheck) -> bool:
        return self.transport.now() - waiting.since > PATIENCE


def _refusal(wrong: str) -> Refusal | None:
    return Refusal(BAD_VALUE, wrong) if wrong else None
