"""The kinds of alerts, a row each: a constant, and its place in `KINDS`.

The schema's list and the table of docs/alerts.md are held to these rows by a test.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from nm_bus.messages import Alert, NodeId, Seconds, Severity


class About(StrEnum):
    """What an alert is about, which decides who is responsible for it: see `responsible`."""

    MEMBER = "member"
    SUPERNODE = "supernode"
    LINKS = "links"
    BROKER = "broker"
    QUARANTINE = "quarantine"
    LEDGER = "ledger"
    OTHER = "other"
    """A kind of another release."""


OWN = tuple(each for each in About if each not in (About.MEMBER, About.SUPERNODE, About.OTHER))
"""What each supernode reports of itself."""


class Scope(NamedTuple):
    """One thing of which all that is wrong is reported together: a member, a supernode as the
    others see it, or what a supernode says of its own links, broker, quarantine or ledger."""

    about: About
    of: NodeId


class AlertKind(msgspec.Struct, frozen=True):
    """A row. `patience` is for how many seconds the condition must hold before it is raised, to
    which come `intervals` of the member's heartbeats."""

    name: str
    about: About
    severity: Severity
    meaning: str
    action: str
    patience: Seconds = 0.0
    intervals: int = 0


MEMBER_DOWN = AlertKind(
    "member-down",
    About.MEMBER,
    Severity.CRITICAL,
    "A member is silent, and the path by which it would be heard is proven to work.",
    "See whether its host and `nm-bus-member` run; `nm-bus doctor` on its host says what is wrong.",
)
MEMBER_CLONED = AlertKind(
    "member-cloned",
    About.MEMBER,
    Severity.WARNING,
    "Two agents run under one member's certificate.",
    "Stop one of them; give a copied machine a name and a certificate of its own.",
)
CHECK_CRITICAL = AlertKind(
    "check-critical",
    About.MEMBER,
    Severity.CRITICAL,
    "A member's own check is critical.",
    "See the check's output in the summary, and repair on the member's host what it names.",
    intervals=1,
)
CHECK_WARNING = AlertKind(
    "check-warning",
    About.MEMBER,
    Severity.WARNING,
    "A member's own check warns.",
    "See the check's output in the summary, before it becomes critical.",
    intervals=1,
)
SUPERNODE_SILENT = AlertKind(
    "supernode-silent",
    About.SUPERNODE,
    Severity.CRITICAL,
    "No supernode hears this one any more.",
    "See whether its host, its broker and `nm-bus-supernode` run, and port 5671 can be reached.",
)
LINK_TROUBLE = AlertKind(
    "link-trouble",
    About.LINKS,
    Severity.WARNING,
    "A link brings nothing, or not in time, though its source works.",
    "Run `nm-bus doctor` at both ends: the network, certificates, and the source's shovels.",
    patience=5.0,
)
BROKER_TROUBLE = AlertKind(
    "broker-trouble",
    About.BROKER,
    Severity.CRITICAL,
    "A supernode's broker is down or blocks publishers.",
    "See the broker's log; free memory or disk where the summary names an alarm.",
    patience=5.0,
)
QUARANTINE_GROWING = AlertKind(
    "quarantine-growing",
    About.QUARANTINE,
    Severity.WARNING,
    "Messages are refused at a supernode.",
    "Run `nm-bus dead list` on its host: who sent them, and why they are refused.",
)
LEDGER_STOPPED = AlertKind(
    "ledger-stopped",
    About.LEDGER,
    Severity.CRITICAL,
    "A supernode's ledger has stopped: it can be read, but votes no more.",
    "Do what the summary says, and start the supernode again.",
)
LEDGER_NOT_ADMITTED = AlertKind(
    "ledger-not-admitted",
    About.LEDGER,
    Severity.WARNING,
    "A supernode follows the ledger, but is none of the project's supernodes.",
    "Stop it, or admit it with the command of the summary.",
)
LEDGER_PEER_IGNORED = AlertKind(
    "ledger-peer-ignored",
    About.LEDGER,
    Severity.CRITICAL,
    "A supernode does not count a peer's votes.",
    "The summary says why, and what to do at which of the two.",
)
LEDGER_CLOCK = AlertKind(
    "ledger-clock",
    About.LEDGER,
    Severity.WARNING,
    "Changes are left out of a batch, since their time is far ahead of a supernode's clock.",
    "Set the clocks of the supernodes that the summary names.",
)
LEDGER_FORKED = AlertKind(
    "ledger-forked",
    About.LEDGER,
    Severity.CRITICAL,
    "Two supernodes have different heads for one revision.",
    "Compare both with `nm-bus fsck`, and take the one that differs from the rest out of service.",
)
LEDGER_BEHIND = AlertKind(
    "ledger-behind",
    About.LEDGER,
    Severity.CRITICAL,
    "A supernode is behind, and cannot take the snapshot that would bring it up to date.",
    "The summary says what is in the way: room on its disk, or another release.",
)

KINDS: Mapping[str, AlertKind] = {
    row.name: row
    for row in (
        MEMBER_DOWN,
        MEMBER_CLONED,
        CHECK_CRITICAL,
        CHECK_WARNING,
        SUPERNODE_SILENT,
        LINK_TROUBLE,
        BROKER_TROUBLE,
        QUARANTINE_GROWING,
        LEDGER_STOPPED,
        LEDGER_NOT_ADMITTED,
        LEDGER_PEER_IGNORED,
        LEDGER_CLOCK,
        LEDGER_FORKED,
        LEDGER_BEHIND,
    )
}


def scope_of(alert: Alert) -> Scope:
    """Which report an alert belongs to. What a supernode says of its own is the raiser's."""
    row = KINDS.get(alert.kind)
    about = About.OTHER if row is None else row.about
    of_subject = about in (About.MEMBER, About.SUPERNODE)
    return Scope(about, alert.subject if of_subject else alert.origin)
