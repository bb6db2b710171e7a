"""How a supernode's ledger stands, in the words that everybody is told."""

from collections.abc import Mapping

from nm_bus.core.ledger.agreement import Agreement
from nm_bus.core.ledger.rules.version import in_force
from nm_bus.core.ledger.state import State
from nm_bus.messages import Standing, VoterId
from nm_bus.storage.ledger import LedgerIdentity


def standing_of(
    identity: LedgerIdentity,
    state: State,
    agreement: Agreement,
    heights: Mapping[VoterId, int],
    *,
    stopped: str,
    trouble: str,
    listens: bool,
) -> Standing:
    """One ledger. `stopped` and `trouble` are why it has stopped, and why it cannot catch up."""
    return Standing(
        identity.node,
        identity.incarnation,
        state.epoch,
        state.revision,
        state.head,
        max(agreement.height, 0),
        agreement.author,
        tuple(sorted(state.voters)),
        tuple(sorted(state.standbys)),
        pending=len(agreement.outbox),
        state=_word(stopped, trouble, listens=listens),
        reason=stopped or trouble,
        heights=dict(heights),
        beginning=identity.beginning,
        rules=in_force(state),
    )


def _word(stopped: str, trouble: str, *, listens: bool) -> str:
    if stopped:
        return "stopped"
    if trouble:
        return "behind"
    return "listening" if listens else "running"
