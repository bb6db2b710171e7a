"""The messages, as frozen structs: what is said between members, supernodes and people.

One class a message, which gives the CloudEvents type its name; `schemas/` is their contract.
Nothing here reads a clock or touches bytes: `nm_bus.codec` does the second.
"""

from nm_bus.messages.answers import (
    MemberView,
    NodeDetail,
    Overview,
    Series,
    SupernodeView,
    Window,
)
from nm_bus.messages.base import (
    AlertState,
    CheckStatus,
    Data,
    DomainKey,
    Event,
    Health,
    M_co,
    NodeId,
    Part,
    Seconds,
    Severity,
    domain_key,
    message_type,
)
from nm_bus.messages.ledger import (
    Accept,
    Accepted,
    Ballot,
    Batch,
    Beat,
    Change,
    ChangeId,
    Decided,
    Echo,
    Entry,
    Fetch,
    Ledger,
    Log,
    Micros,
    Nack,
    Page,
    Prepare,
    Promise,
    Propose,
    Proposed,
    Read,
    Running,
    Snap,
    Standing,
    Step,
    Submit,
    Sync,
    Synced,
    Update,
    VoterId,
)
from nm_bus.messages.members import (
    Check,
    Declared,
    Endpoint,
    Heartbeat,
    Metrics,
    Properties,
)
from nm_bus.messages.quarantined import (
    Quarantined,
)
from nm_bus.messages.requests import (
    Answer,
    Ask,
    Hello,
    Query,
    Report,
    Subscribe,
    Tail,
)
from nm_bus.messages.supernodes import (
    Alert,
    BrokerState,
    Canary,
    Connection,
    LinkState,
    MemberState,
    PipeState,
    Rollup,
    Rollups,
    Statement,
    Supernode,
)

Message = (
    Heartbeat
    | Metrics
    | Properties
    | Canary
    | Connection
    | Statement
    | Rollups
    | Supernode
    | Alert
    | Hello
    | Query
    | Ask
    | Report
    | Subscribe
    | Tail
    | Answer
    | Ledger
    | Update
    | Propose
    | Sync
    | Read
    | Running
    | Quarantined
)

MESSAGES: tuple[type[Message], ...] = Message.__args__

__all__ = [
    "MESSAGES",
    "Accept",
    "Accepted",
    "Alert",
    "AlertState",
    "Answer",
    "Ask",
    "Ballot",
    "Batch",
    "Beat",
    "BrokerState",
    "Canary",
    "Change",
    "ChangeId",
    "Check",
    "CheckStatus",
    "Connection",
    "Data",
    "Decided",
    "Declared",
    "DomainKey",
    "Echo",
    "Endpoint",
    "Entry",
    "Event",
    "Fetch",
    "Health",
    "Heartbeat",
    "Hello",
    "Ledger",
    "LinkState",
    "Log",
    "M_co",
    "MemberState",
    "MemberView",
    "Message",
    "Metrics",
    "Micros",
    "Nack",
    "NodeDetail",
    "NodeId",
    "Overview",
    "Page",
    "Part",
    "PipeState",
    "Prepare",
    "Promise",
    "Properties",
    "Propose",
    "Proposed",
    "Quarantined",
    "Query",
    "Read",
    "Report",
    "Rollup",
    "Rollups",
    "Running",
    "Seconds",
    "Series",
    "Severity",
    "Snap",
    "Standing",
    "Statement",
    "Step",
    "Submit",
    "Subscribe",
    "Supernode",
    "SupernodeView",
    "Sync",
    "Synced",
    "Tail",
    "Update",
    "VoterId",
    "Window",
    "domain_key",
    "message_type",
]
