"""The table of kinds is what the schema and the document list."""

import json
from pathlib import Path

import pytest

from nm_bus.core.alerts import kinds
from nm_bus.core.alerts.kinds import KINDS, OWN, About, AlertKind, Scope, scope_of
from nm_bus.messages import Alert, AlertState, Severity

CHECKOUT = Path(__file__).parents[3]


def alert(kind: str) -> Alert:
    state, severity = AlertState.RAISED, Severity.INFO
    return Alert("a", 1, state, severity, kind, "n1", "x", 0.0, 0.0, "sn1.example")


def patience(row: AlertKind) -> str:
    if row.intervals:
        return "a heartbeat"
    return f"{row.patience:g} s" if row.patience else ""


def test_the_schema_lists_the_kinds() -> None:
    schema = json.loads((CHECKOUT / "schemas" / "alert" / "v1.json").read_text(encoding="utf-8"))
    assert schema["properties"]["kind"]["examples"] == list(KINDS)


def test_the_schema_lists_the_states() -> None:
    schema = json.loads((CHECKOUT / "schemas" / "alert" / "v1.json").read_text(encoding="utf-8"))
    assert schema["properties"]["state"]["enum"] == list(AlertState)


def test_the_document_lists_the_kinds_with_what_to_do() -> None:
    text = (CHECKOUT / "docs" / "alerts.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{row.name}` | {row.severity} | {patience(row)} | {row.meaning} | {row.action} |"
        for row in KINDS.values()
    ]


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("member-down", Scope(About.MEMBER, "n1")),
        ("supernode-silent", Scope(About.SUPERNODE, "n1")),
        ("link-trouble", Scope(About.LINKS, "sn1.example")),
        ("of-a-later-release", Scope(About.OTHER, "sn1.example")),
    ],
)
def test_an_alert_is_of_its_subject_or_of_the_supernode_that_raised_it(
    kind: str, scope: Scope
) -> None:
    assert scope_of(alert(kind)) == scope


def test_every_kind_that_there_is_is_in_the_table() -> None:
    rows = [each for each in vars(kinds).values() if isinstance(each, AlertKind)]
    assert rows == list(KINDS.values())


def test_everything_that_an_alert_can_be_about_is_reported_by_somebody() -> None:
    assert {*OWN, About.MEMBER, About.SUPERNODE, About.OTHER} == {*About}
