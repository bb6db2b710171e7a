"""Which updates are kept together, and from which revision on what is asked about is all there.

Feeds are kept in groups: all documents are one, each other feed is one by itself. So what comes and
goes by the thousand in one group takes nothing from another. Of a group the oldest updates go
first, so each of its feeds is without a gap from its first kept update on. Pure.
"""

from collections.abc import Iterable, Mapping

from nm_bus.core.ledger.keys import FORMS, LOCKS, family, feed_of

DOCUMENTS = "config"


def group_of(feed: str) -> str:
    """The group that a feed is kept in."""
    return family(feed)


_OTHERS = {group_of(feed_of(f"{word}/")) for word in FORMS} - {DOCUMENTS, LOCKS}

GROUPS = (DOCUMENTS, *sorted(_OTHERS), LOCKS)
"""All groups, in the order in which their past is fetched."""

_ALSO = {"member": ("supernode",)}
"""Which other groups have changes that touch a group's keys: members move with their supernodes."""


def groups_asked(key: str, *, without_locks: bool) -> tuple[str, ...]:
    """The groups in which updates of a key are, or (empty) updates of all keys."""
    if key:
        group = group_of(feed_of(key))
        return (group, *_ALSO.get(group, ()))
    return tuple(group for group in GROUPS if not (without_locks and group == LOCKS))


def kept_from(kept: Mapping[str, int], groups: Iterable[str]) -> int:
    """The revision after which all updates of the groups are kept, 0: all are; `kept` has it of
    each group that is not whole."""
    return max((kept.get(group, 0) for group in groups), default=0)
