"""The codes of answers: what a program does about an answer, whatever its sentence says."""

OK = "ok"

UNAVAILABLE = "unavailable"
"""This supernode cannot answer now: ask another one, or later."""

NO_LEDGER = "no-ledger"
"""This supernode has no ledger: ask another one; when all say so, nobody need wait."""

BAD_REQUEST, UNKNOWN_NODE = "bad-request", "unknown-node"

REFUSED = "refused"
"""The member that was asked said no."""

NOT_ALLOWED, CONFLICT, HELD, UNKNOWN_KEY = "not-allowed", "conflict", "held", "unknown-key"
BAD_VALUE, GONE, TOO_OLD, NO_MAJORITY = "bad-value", "gone", "too-old", "no-majority"
"""Why a change is refused, alike at every supernode."""
