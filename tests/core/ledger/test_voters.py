"""A supernode as a voter: its node and its incarnation, and back to the node."""

from nm_bus.core.ledger.voters import node_of, voter_id


def test_each_incarnation_is_another_voter_of_one_node() -> None:
    first, second = voter_id("sn1.llnl.gov", "genesis"), voter_id("sn1.llnl.gov", "2d81c0")
    assert (first, second) == ("sn1.llnl.gov#genesis", "sn1.llnl.gov#2d81c0")
    assert node_of(first) == node_of(second) == "sn1.llnl.gov"
