"""Who a supernode is as a voter: its node and its incarnation in one text."""

from nm_bus.messages import NodeId, VoterId


def voter_id(node: NodeId, incarnation: str) -> VoterId:
    """Who this incarnation of a supernode is to the others."""
    return f"{node}#{incarnation}"


def node_of(voter: VoterId) -> NodeId:
    """The supernode, whichever incarnation of it."""
    return voter.partition("#")[0]
