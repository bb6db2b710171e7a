"""What is wrong with a supernode's ledger, as conditions that raise alerts."""

from collections.abc import Iterator

from nm_agents.supernode.ledger.checkpoints import Fork
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_bus.core.alerts.conditions import (
    Condition,
    ledger_clock,
    ledger_forked,
    ledger_not_admitted,
    ledger_peer_ignored,
    ledger_stopped,
)
from nm_bus.core.ledger.batches import FAR_AHEAD


def troubles(ledger: LedgerDriver | None) -> Iterator[Condition]:
    """A ledger that has stopped, one whose supernode nobody has admitted, clocks that are wrong,
    a peer whose words do not count, and two heads for one revision. Without a ledger: none."""
    if ledger is None:
        return
    node, state = ledger.node, ledger.state
    yield ledger_stopped(node, ledger.reason)
    admitted = ledger.voter_id in state.voters | state.standbys
    yield ledger_not_admitted(node, ledger.identity.incarnation, admitted=admitted)
    left_out = [change.supernode for change in ledger.agreement.left_out.values()]
    yield ledger_clock(node, left_out, FAR_AHEAD // 1_000_000)
    for peer, why in ledger.ignored.peers.items():
        yield ledger_peer_ignored(node, peer, why)
    for fork in ledger.checkpoints.forks.values():
        heads = (fork.head, fork.other)
        yield ledger_forked(fork.node, fork.peer, fork.revision, heads, _evidence(fork))


def _evidence(fork: Fork) -> dict[str, str]:
    if not fork.signature:
        return {}
    return {"head": fork.other, "signer": fork.signer, "signature": fork.signature}
