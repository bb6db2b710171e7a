"""The kinds of alerts about a ledger that also `doctor` looks for."""

FORKED = "ledger-forked"
"""Two supernodes have different heads for one revision."""

IGNORED = "ledger-peer-ignored"
"""A supernode does not count a peer's votes; the summary says why."""
