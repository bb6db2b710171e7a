"""What is wrong with a change that was not proposed yet.

Only what no state can fix and what applying leaves out: the form, and the schema that a document
or a record is held against. Who may ask for what is decided when a change is applied. What takes
long is not done here: it is given as a check, for the process that makes them.
"""

from collections.abc import Callable
from typing import Any

from nm_bus.checking.check import Check, OfDocument, OfRecord, is_needed
from nm_bus.core.ledger.keys import name
from nm_bus.core.ledger.kinds import Form, kind_of
from nm_bus.core.ledger.roles import refusal
from nm_bus.core.ledger.rules.values import flaw
from nm_bus.core.ledger.state import State
from nm_bus.documents.document import content_of
from nm_bus.messages import Change


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
