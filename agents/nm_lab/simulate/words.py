"""What a trace says of messages, ballots and batches: a few words each."""

from nm_bus.core.ledger.effects import Vote
from nm_bus.messages import Ballot, Batch
from nm_lab.simulate.node import Said

_SHOWN = ("slot", "ballot", "accepted", "promised", "height", "author", "batch")


def described(said: Said) -> str:
    """A message: its kind, and what of it tells ballots and batches apart."""
    parts = [type(said).__name__.lower()]
    parts += [
        f"{name} {brief(value)}"
        for name in _SHOWN
        if (value := getattr(said, name, None)) is not None
    ]
    return " ".join(parts)


def brief(value: object) -> str:
    """A ballot as `2.a#1`, a batch as its author and changes."""
    match value:
        case Ballot(round, proposer):
            return f"{round}.{proposer}" if round >= 0 else "none"
        case Batch():
            return f"of {value.author} [{', '.join(change.id for change in value.changes)}]"
        case Vote(promised, accepted, batch):
            voted = f", accepted {brief(accepted)} {brief(batch)}" if accepted else ""
            return f"promised {brief(promised)}{voted}"
    return str(value)
