"""What is wrong, as every supernode and subscriber is told it."""

from enum import StrEnum

from nm_bus.messages.base import Data, NodeId, Seconds


class Severity(StrEnum):
    """How much an alert matters, the least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """Where an alert stands in its life. No supernode of this release gives the middle three yet;
    each of them is a state of an alert that is still active."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    RESOLVED = "resolved"


class Alert(Data, frozen=True):
    """One transition of one alert: `alert` is its id, `number` counts its transitions from 1.

    The id is the same from raised to resolved; a later transition has a higher number. `what` is
    what of the subject it is about: a check, a link, a peer; empty: the subject itself.
    """

    alert: str
    number: int
    state: AlertState
    severity: Severity
    kind: str
    subject: NodeId
    summary: str
    raised: Seconds
    changed: Seconds
    origin: NodeId
    what: str = ""
    details: dict[str, str] = {}

    @property
    def transition(self) -> str:
        """The id of this transition: who has it drops it when it comes again."""
        return f"{self.alert}/{self.number}"
