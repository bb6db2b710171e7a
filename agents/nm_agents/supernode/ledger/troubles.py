"""What is wrong with a supernode's ledger, as conditions that raise alerts."""

from collections.abc import Iterator

from nm_agents.supernode.ledger.checkpoints import Fork
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_bus.core.alerts import Condition
from nm_bus.messages import Severity


def troubles(ledger: LedgerDriver | None) -> Iterator[Condition]:
    """A ledger that has stopped, and two heads for one revision. Without a ledger: none."""
    if ledger is None:
        return
    yield Condition(
        kind="ledger-stopped",
        subject=ledger.node,
        severity=Severity.CRITICAL,
        summary=f"the ledger of {ledger.node} has stopped: {ledger.reason}",
        holds=bool(ledger.reason),
    )
    for fork in ledger.checkpoints.forks.values():
        yield _forked(fork)


def _forked(fork: Fork) -> Condition:
    """The same alert at both: whichever tells it first."""
    one, other = sorted((fork.node, fork.peer))
    return Condition(
        kind="ledger-forked",
        subject=one,
        what=f"{other}.{fork.revision}",
        severity=Severity.CRITICAL,
        summary=(
            f"{one} and {other} have different ledgers: at revision {fork.revision} the head is"
            f" {fork.head[:12]} at {fork.node}, {fork.other[:12]} at {fork.peer}"
        ),
    )
