"""An alert's log line is as loud as the alert."""

import logging

import pytest

from nm_agents.supernode.alerts.part import log_alert
from nm_bus.messages import Alert, AlertState, Severity


def alert(severity: Severity, state: AlertState) -> Alert:
    return Alert(
        alert="a",
        number=1,
        state=state,
        severity=severity,
        kind="node-down",
        subject="n1.example.org",
        summary="n1.example.org is down",
        raised=1.0,
        changed=1.0,
        origin="sn1.example.org",
    )


@pytest.mark.parametrize(
    ("severity", "state", "level"),
    [
        (Severity.INFO, AlertState.RAISED, logging.INFO),
        (Severity.WARNING, AlertState.RAISED, logging.WARNING),
        (Severity.CRITICAL, AlertState.RAISED, logging.ERROR),
        (Severity.CRITICAL, AlertState.RESOLVED, logging.INFO),
    ],
)
def test_an_alert_is_as_loud_as_it_matters(
    severity: Severity, state: AlertState, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    log_alert(alert(severity, state))
    (record,) = caplog.records
    assert record.levelno == level
    assert record.getMessage() == f"alert {state}: n1.example.org is down"
