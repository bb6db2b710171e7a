"""What principals ask of a supernode, and what it asks of a member."""

from typing import Any

from nm_bus.messages.alerts import Severity
from nm_bus.messages.base import Data, DomainKey, NodeId


class Hello(Data, frozen=True):
    """A principal introduces itself; the answer names the queue made for it, or says why not."""

    agent: str = ""


class Query(Data, frozen=True):
    """What does the supernode know? `what` is `status`, `node`, `alerts` or `time`."""

    what: str
    node: NodeId = ""
    page: int = 0


class Ask(Data, frozen=True):
    """Ask a member itself: `status`, `metrics`, or `check` with the check's name."""

    request: str
    node: NodeId
    what: str
    check: str = ""


class Report(Data, frozen=True):
    """A member's answer to an Ask, by the ask's request id."""

    request: str
    node: NodeId
    ok: bool
    error: str = ""
    answer: dict[str, Any] = {}


class Subscribe(Data, frozen=True):
    """Make or change a durable alert queue: severities and sites to hear of; empty means all."""

    name: str = ""
    severities: tuple[Severity, ...] = ()
    under: tuple[DomainKey, ...] = ()


class Tail(Data, frozen=True):
    """Make a short-lived queue that copies live messages of one exchange."""

    exchange: str
    key: str = "#"


class Answer(Data, frozen=True):
    """The answer to any request. `error` is one clear sentence when not ok.

    `code` is for programs: `ok`, `unknown-node`, `not-allowed`, `bad-request`, `unavailable`,
    `no-ledger`, and for a refused change the code of its refusal.
    """

    request: str
    ok: bool
    code: str = "ok"
    error: str = ""
    data: dict[str, Any] = {}
