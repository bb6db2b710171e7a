"""What was accepted is agreed, what was agreed is everywhere, whatever links and processes do."""

from typing import Any


def test_a_change_is_agreed_at_every_supernode(make_crowd: Any) -> None:
    crowd = make_crowd(3)
    crowd.awake()
    first, *others = crowd
    assert first.put(1) == "accepted"
    crowd.settle()
    (answer,) = first.answers.values()
    assert (answer.state, answer.revision) == ("agreed", 1)
    assert all(site.ledger.state.revision == 1 for site in others)
