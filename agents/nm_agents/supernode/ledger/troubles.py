"""What is wrong with a supernode's ledger, as conditions that raise alerts."""

from collections.abc import Iterator

from nm_agents.supernode.ledger.checkpoints import Fork
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_bus.core.alerts import Condition
from nm_bus.core.ledger.batches import FAR_AHEAD
from nm_bus.core.ledger.troubles import FORKED, IGNORED
from nm_bus.messages import NodeId, Severity


def troubles(ledger: LedgerDriver | None) -> Iterator[Condition]:
    """A ledger that has stopped, one whose supernode nobody has admitted, clocks that are wrong,
    a peer whose words do not count, and two heads for one revision. Without a ledger: none."""
    if ledger is None:
        return
    yield Condition(
        kind="ledger-stopped",
        subject=ledger.node,
        severity=Severity.CRITICAL,
        summary=f"the ledger of {ledger.node} has stopped: {ledger.reason}",
        holds=bool(ledger.reason),
    )
    yield _stranger(ledger)
    yield _left_out(ledger)
    for peer, why in ledger.ignored.peers.items():
        yield _ignored(ledger, peer, why)
    for fork in ledger.checkpoints.forks.values():
        yield _forked(fork)


def _stranger(ledger: LedgerDriver) -> Condition:
    """It follows, but has no part: it began anew, or was dismissed."""
    node, incarnation = ledger.node, ledger.identity.incarnation
    return Condition(
        kind="ledger-not-admitted",
        subject=node,
        severity=Severity.WARNING,
        summary=(
            f"{node} follows the ledger as {incarnation}, which is none of its supernodes: stop it,"
            f" or admit it: nm-bus supernode add {node} --incarnation {incarnation}"
        ),
        holds=ledger.voter_id not in ledger.state.voters | ledger.state.standbys,
    )


def _ignored(ledger: LedgerDriver, peer: NodeId, why: str) -> Condition:
    """Nothing is agreed with it."""
    return Condition(
        kind=IGNORED,
        subject=peer,
        what=ledger.node,
        severity=Severity.CRITICAL,
        summary=f"{ledger.node} ignores {peer} in the ledger: {why}",
    )


def _left_out(ledger: LedgerDriver) -> Condition:
    """What a batch of this supernode does not hold; its own supernode proposes it, but later."""
    changes = ledger.agreement.left_out.values()
    stamped = ", ".join(sorted({change.supernode for change in changes}))
    return Condition(
        kind="ledger-clock",
        subject=ledger.node,
        severity=Severity.WARNING,
        summary=(
            f"{ledger.node} leaves out {len(changes)} changes that {stamped} stamped over"
            f" {FAR_AHEAD // 1_000_000} s ahead of its clock: set the clocks of both"
        ),
        holds=bool(changes),
    )


def _forked(fork: Fork) -> Condition:
    """The same alert at both: whichever tells it first."""
    one, other = sorted((fork.node, fork.peer))
    return Condition(
        kind=FORKED,
        subject=one,
        what=f"{other}.{fork.revision}",
        severity=Severity.CRITICAL,
        summary=(
            f"{one} and {other} have different ledgers: at revision {fork.revision} the head is"
            f" {fork.head[:12]} at {fork.node}, {fork.other[:12]} at {fork.peer}"
        ),
        details=_evidence(fork),
    )


def _evidence(fork: Fork) -> dict[str, str]:
    """What the peer signed, so that anybody can judge it with the peer's certificate."""
    if not fork.signature:
        return {}
    return {"head": fork.other, "signer": fork.signer, "signature": fork.signature}
