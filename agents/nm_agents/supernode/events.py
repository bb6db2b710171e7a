"""The lines that a supernode writes to its log about alerts and links: one place for their form."""

import logging

from nm_bus.messages import Alert, AlertState, LinkState, Severity

_LOG = logging.getLogger(__name__)

LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.CRITICAL: logging.ERROR,
}


def log_alert(alert: Alert) -> None:
    """An alert's transition, as loud as the alert is; that it is over is only information."""
    raised = alert.state is AlertState.RAISED
    level = LEVELS[alert.severity] if raised else logging.INFO
    _LOG.log(level, "alert %s: %s", alert.state, alert.summary)


def log_link(link: LinkState) -> None:
    """What became of a link, and why if there is a reason."""
    why = f": {link.reason}" if link.reason else ""
    _LOG.info("link to %s, %s: %s%s", link.destination, link.kind, link.state, why)
