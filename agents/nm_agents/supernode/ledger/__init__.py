"""A supernode's ledger at work: its file, what it says to the other supernodes, what it tells."""
