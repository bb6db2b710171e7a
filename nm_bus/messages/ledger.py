"""The ledger as it is said: changes, updates, and what is asked about them.

A slot is a position in the sequence of decisions and stays inside the supernodes; a revision is
the number of an effective change, which is what everyone else lives by.
"""

from typing import Any

from nm_bus.messages.base import Data, Nested, NodeId, Seconds

VoterId = str
"""A supernode as a voter, `<node>#<incarnation>`: who lost its disk is somebody else."""

ChangeId = str
"""`<principal>/<incarnation>/<sequence>`, minted by who asks and kept when it asks again."""

Micros = int
"""Microseconds since 1970; of a hybrid logical clock, so that they grow where clocks do not."""


class Change(Nested, frozen=True):
    """What someone asks for. `base` is the revision its author saw; `expected`, when given, the
    revision that the key must have (0: the key must not be there).

    `signature` (base64) covers all but itself, `timestamp` and `supernode`, which the supernode
    that accepts the change adds; `signer` is the sha256 of the certificate whose key signed.
    A value holds texts, whole numbers below 2**53, booleans, null, lists and objects; no fractions.
    """

    id: ChangeId
    actor: str
    kind: str
    key: str
    base: int = 0
    value: dict[str, Any] | None = None
    expected: int | None = None
    signer: str = ""
    signature: str = ""
    timestamp: Micros = 0
    supernode: NodeId = ""


class Ballot(Nested, frozen=True, order=True, array_like=True):
    """The number of an attempt to decide a slot: `[round, voter]`."""

    round: int
    proposer: VoterId


class Batch(Nested, frozen=True):
    """What is decided at once: changes in the order of (timestamp, supernode, id).

    `time` is the author's own clock when it was made, which is steady: the wall clock of its start
    and what has passed since. It may hold no changes.
    """

    author: VoterId
    time: Micros = 0
    changes: tuple[Change, ...] = ()


class FeedPlace(Nested, frozen=True):
    """Where an update stands in its feed: its number in it, from 1, and the feed's heads before it
    and with it. A feed holds the changes of one component's documents, or of a family of keys.
    """

    feed: str
    number: int
    previous: str
    head: str


class Update(Data, frozen=True):
    """One revision, with its place in its feed.

    `head` is a sha256 over the previous head, the revision, the time, the change, and the `digest`
    of what the change did (see `nm_bus.core.ledger.chain`).
    """

    project: str
    epoch: int
    revision: int
    previous: str
    head: str
    time: Micros
    digest: str
    change: Change
    place: FeedPlace


class Entry(Nested, frozen=True):
    """The state of one key: its value, the revision that made it, who asked, and when."""

    key: str
    value: dict[str, Any]
    revision: int
    actor: str
    time: Micros = 0


class Propose(Data, frozen=True):
    """Ask for a change. The answer tells whether it is agreed, or after `wait` only accepted.

    `certificate` (PEM) is the one whose key signed the change. Ask again with the same change id.
    """

    change: Change
    certificate: str = ""
    wait: Seconds = 10.0


class Proposed(Nested, frozen=True):
    """What became of a change: `state` is `accepted`, `agreed` or `refused`.

    Accepted: on one supernode's disk. Agreed: it has its revision for ever.
    """

    id: ChangeId
    state: str
    revision: int = 0
    code: str = ""
    reason: str = ""


class Sync(Data, frozen=True):
    """What comes in a feed after this number and head? `after` is the last key of a page of a
    snapshot.

    Without a `feed` it is asked of the whole, where the number is the revision.
    """

    epoch: int
    number: int
    head: str
    after: str | None = None
    feed: str = ""


class Synced(Nested, frozen=True):
    """The answer to a Sync: `state` is `updates`, `snapshot`, `lag` or `reset`.

    `epoch`, `number` and `head` are where the supernode is in the feed, in a snapshot where to go
    on; `at` is the revision that it has applied. With `more`, ask again: for updates from the last
    one, for a snapshot `after` its last key.
    """

    state: str
    epoch: int
    number: int
    head: str
    at: int
    updates: tuple[Update, ...] = ()
    entries: tuple[Entry, ...] = ()
    more: bool = False


class Read(Data, frozen=True):
    """What does the ledger hold? `what` is `entry`, `entries`, `updates`, `place`, `answer` or
    `ledger`.

    `key` is a key, the beginning of keys, a feed, or a change id. A place is that of a feed after
    revision `since`, or with `newest_first` as it is now. Entries come in the order of their keys,
    `after` one. Updates are those of `key` (all, when it is empty) after revision `since`, or with
    `newest_first` before it (0: from the newest). `at_least`: answer once this revision is applied;
    `agreed`: answer after all that was agreed when the question came. `without_locks`: all updates
    but those of locks and sessions.
    """

    what: str
    key: str = ""
    after: str = ""
    since: int = 0
    at_least: int = 0
    agreed: bool = False
    newest_first: bool = False
    limit: int = 100
    without_locks: bool = False


class FollowedFeed(Nested, frozen=True):
    """How far somebody is in a feed: the last number, and its head."""

    feed: str
    epoch: int
    number: int
    head: str


class Page(Nested, frozen=True):
    """The answer to a Read: what was found, at which revision, and whether there is more of it.

    `kept_from` is the revision after which this supernode has every update that was asked about: 0
    means all of them. `kept_by` are the supernodes that have more of them, as far as it knows.
    `place` is None where it is not known any more.
    """

    revision: int
    head: str
    epoch: int
    entries: tuple[Entry, ...] = ()
    updates: tuple[Update, ...] = ()
    more: bool = False
    kept_from: int = 0
    kept_by: tuple[NodeId, ...] = ()
    place: FollowedFeed | None = None


class Standing(Nested, frozen=True):
    """The answer to a Read of `ledger`: how one supernode's ledger stands."""

    node: NodeId
    incarnation: str
    epoch: int
    revision: int
    head: str
    height: int
    author: VoterId
    voters: tuple[VoterId, ...]
    standbys: tuple[VoterId, ...]
    pending: int = 0
    state: str = "running"
    reason: str = ""
    heights: dict[VoterId, int] = {}


class Running(Data, frozen=True):
    """How far a member is in the feeds that it lives by, which revision of which document it runs,
    and what went wrong."""

    incarnation: str
    feeds: tuple[FollowedFeed, ...] = ()
    documents: dict[str, int] = {}
    troubles: dict[str, str] = {}
