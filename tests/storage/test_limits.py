"""The limits of what a ledger's file holds leave it below its own."""

from nm_agents.supernode.ledger.arrival import MOST_BYTES
from nm_agents.supernode.ledger.own import MOST_OWN
from nm_bus.core.ledger.answers import MOST_ANSWERS
from nm_bus.core.ledger.applying import MOST_ENTRIES
from nm_bus.core.ledger.batches import MOST_CHANGES
from nm_bus.core.ledger.kept import GROUPS
from nm_bus.core.ledger.rules import values
from nm_bus.core.ledger.usage import MOST_VALUES
from nm_bus.storage.ledger import MAX_BYTES
from nm_bus.storage.retention import LOG_BYTES, LOG_SLOTS, MOST_AT_ONCE, bounds_of

PAGE = 4_096
ENTRY, ANSWER = 700, 1_000
"""What an entry has beside its value (key, actor, revision, time), and what an answer has: more
than any usual one."""


def on_disk(size: int, rows: int) -> int:
    """Half-full pages, and for each long row one that is nearly empty."""
    return 2 * size + rows * PAGE


def test_all_that_a_file_holds_at_its_limits_fits_with_room_to_spare() -> None:
    state = on_disk(MOST_VALUES + ENTRY * MOST_ENTRIES, MOST_ENTRIES)
    answers = on_disk(ANSWER * MOST_ANSWERS, MOST_ANSWERS)
    groups = list(map(bounds_of, GROUPS))
    assert sum(one.most for one in groups) == 290_000
    feed = on_disk(sum(one.size for one in groups), sum(one.most for one in groups))
    log = on_disk(LOG_BYTES, LOG_SLOTS)
    outbox = on_disk(MOST_OWN * values.MOST_BYTES, MOST_OWN)
    assert state + answers + feed + log + outbox < 0.8 * MAX_BYTES


def test_the_last_ten_thousand_documents_stay_however_large_they_are() -> None:
    bounds = bounds_of("config")
    assert bounds.least == 10_000
    assert bounds.least * (values.MOST_BYTES + 4_096) < bounds.size


def test_more_rows_may_go_at_an_event_than_come() -> None:
    assert MOST_AT_ONCE >= 2 * MOST_CHANGES


def test_the_pages_of_the_largest_state_fit_their_file() -> None:
    """They are compressed; what cannot be is hardly larger."""
    assert MOST_VALUES + ENTRY * MOST_ENTRIES + ANSWER * MOST_ANSWERS < 0.9 * MOST_BYTES
