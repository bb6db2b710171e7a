"""What a decided change does: a pure function of the state and the change.

No clock, no chance, no order of a set or dict: whoever applies the same batches to the same
genesis has the same state, head and answers. Nothing that a change holds can make it raise.
"""

from dataclasses import dataclass

from nm_bus.codes import BAD_VALUE, CONFLICT, NOT_ALLOWED, TOO_OLD, UNKNOWN_KEY
from nm_bus.core.ledger import roles
from nm_bus.core.ledger.answers import parts
from nm_bus.core.ledger.batches import order
from nm_bus.core.ledger.chain import GENESIS, digest, feed_head, next_head
from nm_bus.core.ledger.keys import FORMS, family, feed_of, is_key
from nm_bus.core.ledger.kinds import KINDS, RULEBOOK, Kinds, Rulebook, kind_of
from nm_bus.core.ledger.rules.outcome import Effects, Outcome, Refusal, Unchanged
from nm_bus.core.ledger.rules.values import flaw
from nm_bus.core.ledger.rules.version import in_force
from nm_bus.core.ledger.state import State
from nm_bus.core.ledger.usage import MOST_VALUES, size_of
from nm_bus.messages import Batch, Change, Entry, FeedPlace, Micros, Proposed, Update

MOST_ENTRIES = 200_000
"""How many keys a ledger holds; beyond them something must be deleted first."""

MOST_FEEDS = 10_000
"""How many feeds a ledger has; one of a component stays when its last document is deleted."""

READ = "read"
"""The kind of a change that does nothing: what was agreed before it has been applied."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a change.

    `update` is None when nothing changed: refused, asked again, or `read`. `entries` has every key
    that the revision touched, with None for those it deleted.
    """

    change: Change
    answer: Proposed
    update: Update | None
    entries: dict[str, Entry | None]


def apply_batch(state: State, batch: Batch, book: Rulebook = RULEBOOK) -> list[Applied]:
    """Apply what was decided at once, in the order of changes, at one agreed time.

    By the rules that are in force when the batch begins, which the `book` must have.
    """
    state.time, kinds = max(state.time + 1, batch.time), book[in_force(state)]
    return [apply(state, change, state.time, kinds) for change in sorted(batch.changes, key=order)]


def apply(state: State, change: Change, time: Micros, kinds: Kinds = KINDS) -> Applied:
    """Apply one change at an agreed time: its answer, stored from now on, and what it did.

    An answer is stored for who asked: not for a change that cannot be read or that speaks for
    somebody else, whose answer is the same each time anyhow.
    """
    unfounded = _unfounded(change)
    if unfounded is not None:
        return _unstored(change, unfounded)
    given = state.answer(change.id)
    if given is not None:
        return Applied(change, given, None, {})
    if state.answers.is_too_old(change):
        reason = f"{change.id} is older than the answers that are kept: look whether it was done"
        return _unstored(change, Refusal(TOO_OLD, reason))
    applied = _done(state, change, time, _outcome(state, change, kinds))
    state.answers.keep(applied.answer, state.revision)
    return applied


def _unfounded(change: Change) -> Refusal | None:
    """Why a change is nobody's, if so."""
    found = flaw(change)
    if found:
        return Refusal(BAD_VALUE, found)
    asked = parts(change.id)
    if asked is None:
        return Refusal(BAD_VALUE, "id is not <principal>/<incarnation>/<sequence>")
    if asked[0][0] != change.actor:
        return Refusal(NOT_ALLOWED, f"{change.actor} may not use the id {change.id}")
    return None


def _outcome(state: State, change: Change, kinds: Kinds) -> Outcome:
    """Refuse by the form, then by the role, then by what the author expected; else the rule's."""
    if change.kind == READ:
        return Unchanged(state.revision)
    kind = kind_of(change, kinds)
    if kind is None or not is_key(change.key):
        return Refusal(UNKNOWN_KEY, _unknown(change))
    forbidden = roles.refusal(state, change, kind.may)
    refusal = forbidden or _conflict(state, change) or _full(state, change)
    return refusal or kind.rule(state, change)


def _unknown(change: Change) -> str:
    if not is_key(change.key):
        forms = ", ".join(form for _, form in FORMS.values())
        return f"{change.key!r} is no key of the ledger: {forms}"
    return f"there is no {change.kind!r} of a {family(change.key)}"


def _conflict(state: State, change: Change) -> Refusal | None:
    """Whether the author saw another ledger, or expected the key to be otherwise."""
    if change.base > state.revision:
        reason = f"based on revision {change.base}, but {state.revision} is the last: look again"
        return Refusal(CONFLICT, reason)
    if change.expected is None:
        return None
    entry = state.get(change.key)
    if entry is None and change.expected != 0:
        return Refusal(CONFLICT, f"{change.key} is not there, {change.expected} was expected")
    if entry is not None and (change.expected == 0 or change.expected != entry.revision):
        expected = f"revision {change.expected}" if change.expected else "nothing"
        was = f"{change.key} is at revision {entry.revision}, {expected} was expected"
        return Refusal(CONFLICT, f"{was}: look again")
    return None


def _full(state: State, change: Change) -> Refusal | None:
    """Whether there is room. What makes some is never refused: to delete, or to say less."""
    if len(state.feeds) >= MOST_FEEDS and feed_of(change.key) not in state.feeds:
        return Refusal(BAD_VALUE, f"the ledger has {MOST_FEEDS} components: use one of them")
    entry = state.get(change.key)
    if entry is None and len(state.entries) >= MOST_ENTRIES:
        return Refusal(BAD_VALUE, f"the ledger holds {MOST_ENTRIES} keys: delete some first")
    if change.value is None:
        return None
    more = size_of(change.value) - (size_of(entry.value) if entry else 0)
    if more > 0 and state.size + more > MOST_VALUES:
        return Refusal(BAD_VALUE, f"the values have {MOST_VALUES} bytes: delete some first")
    return None


def _unstored(change: Change, refusal: Refusal) -> Applied:
    """The answer to a change that may be anything: its id only where it is one."""
    id_ = change.id if isinstance(change.id, str) and parts(change.id) else ""
    return Applied(change, _refused(id_, refusal), None, {})


def _refused(id_: str, refusal: Refusal) -> Proposed:
    return Proposed(id_, "refused", code=refusal.code, reason=refusal.reason)


def _done(state: State, change: Change, time: Micros, outcome: Outcome) -> Applied:
    match outcome:
        case Refusal():
            return Applied(change, _refused(change.id, outcome), None, {})
        case Unchanged():
            answer = Proposed(change.id, "agreed", revision=outcome.revision)
            return Applied(change, answer, None, {})
        case _:
            return effective(state, change, time, outcome)


def effective(state: State, change: Change, time: Micros, effects: Effects) -> Applied:
    """Make what a change does the next revision, and its answer `agreed`."""
    revision, previous, done = state.revision + 1, state.head, digest(effects)
    state.revision, state.head = revision, next_head(previous, revision, time, change, done)
    place = _next_place(state, change)
    entries: dict[str, Entry | None] = {}
    for key, value in effects.items():
        if value is None:
            state.drop(key)
            entries[key] = None
        else:
            entry = Entry(key, value, revision, change.actor, time)
            state.put(entry)
            entries[key] = entry
    update = Update(
        state.project, state.epoch, revision, previous, state.head, time, done, change, place
    )
    return Applied(change, Proposed(change.id, "agreed", revision=revision), update, entries)


def _next_place(state: State, change: Change) -> FeedPlace:
    """Go on in the feed of a change, with the whole's head as it is now."""
    feed = feed_of(change.key)
    before = state.feeds.get(feed, FeedPlace(feed, 0, GENESIS, GENESIS))
    number = before.number + 1
    head = feed_head(before.head, number, state.head)
    state.feeds[feed] = FeedPlace(feed, number, before.head, head)
    return state.feeds[feed]
