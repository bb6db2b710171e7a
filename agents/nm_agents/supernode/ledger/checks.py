"""What is wrong with a change that was not proposed yet.

Only what no state can mend and what applying leaves out: the form, and the schema that a document
or a record is held against. Who may ask for what is decided when a change is applied.
"""

from collections.abc import Callable
from typing import Any

from nm_bus import records
from nm_bus.core.ledger.keys import family, name
from nm_bus.core.ledger.roles import MAY, refusal
from nm_bus.core.ledger.rules.values import flaw
from nm_bus.core.ledger.state import State
from nm_bus.documents.document import content_of
from nm_bus.documents.parsing import why_unreadable
from nm_bus.documents.schema import why_invalid
from nm_bus.messages import Change


def why_not(change: Change, state: State) -> str:
    """Say in one sentence why a change is not proposed; empty when it may be.

    Schemas are used only for who may ask for the change, as far as is known here: holding a
    document against a schema costs time, and both are the asker's.
    """
    wrong = flaw(change)
    if wrong:
        return wrong
    check = _CHECKS.get((change.kind, family(change.key)))
    if check is None or change.value is None or not _is_allowed(change, state):
        return ""
    return check(change.key, change.value, state)


def _is_allowed(change: Change, state: State) -> bool:
    return (change.kind, family(change.key)) in MAY and refusal(state, change) is None


def _document(key: str, value: dict[str, Any], state: State) -> str:
    before = state.get(key)
    kept = before.value.get("schema", "") if before else ""
    schema, media_type = value.get("schema", kept), str(value.get("media_type", ""))
    try:
        content = content_of(value)
    except ValueError as error:
        return f"{key}: {error}"
    wrong = why_unreadable(content, media_type)
    if not wrong and schema and isinstance(schema, str):
        wrong = why_invalid(content, media_type, schema)
    return f"{key} {wrong}" if wrong else ""


def _record(key: str, value: dict[str, Any], _state: State) -> str:
    kind, _, _ = name(key).partition("/")
    wrong = records.why_not(kind, value)
    return f"{key} {wrong}" if wrong else ""


_CHECKS: dict[tuple[str, str], Callable[[str, dict[str, Any], State], str]] = {
    ("set", "config"): _document,
    ("set", "record"): _record,
}
