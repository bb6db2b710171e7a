"""The ledger as it is said: changes, the steps by which supernodes agree on them, and updates.

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


# --- the steps of an agreement, between supernodes ------------------------------------------


class Prepare(Nested, frozen=True, tag_field="step", tag="prepare"):
    """May I propose for this slot with this ballot?"""

    slot: int
    ballot: Ballot


class Promise(Nested, frozen=True, tag_field="step", tag="promise"):
    """Nothing below this ballot will be accepted; `batch` is what was, at `accepted`."""

    slot: int
    ballot: Ballot
    accepted: Ballot | None = None
    batch: Batch | None = None
    pending: tuple[Change, ...] = ()


class Accept(Nested, frozen=True, tag_field="step", tag="accept"):
    """Vote for this batch."""

    slot: int
    ballot: Ballot
    batch: Batch


class Accepted(Nested, frozen=True, tag_field="step", tag="accepted"):
    """The vote, which is on disk."""

    slot: int
    ballot: Ballot
    pending: tuple[Change, ...] = ()


class Nack(Nested, frozen=True, tag_field="step", tag="nack"):
    """A higher ballot was promised."""

    slot: int
    ballot: Ballot
    promised: Ballot
    pending: tuple[Change, ...] = ()


class Decided(Nested, frozen=True, tag_field="step", tag="decided"):
    """A majority voted for the batch; without `batch`, the one that you accepted at `ballot`."""

    slot: int
    ballot: Ballot
    batch: Batch | None = None


class Submit(Nested, frozen=True, tag_field="step", tag="submit"):
    """Changes that should be proposed."""

    changes: tuple[Change, ...]


class Echo(Nested, frozen=True):
    """What is known of a peer: its last boot, and the highest vote that was seen of it."""

    boot: int
    nonce: str
    slot: int = 0
    ballot: Ballot | None = None


class Beat(Nested, frozen=True, tag_field="step", tag="beat"):
    """How far a supernode is; `echoes` tell each peer what is known of it, by its voter id. A
    newcomer, which lacks also the beginning, is at -1.

    `revision` and `head` are those of the last multiple of a hundred. `signature` (base64) is over
    the lines project, epoch, revision and head; `signer` names the certificate, as in a Change.
    `rules` is the latest version of the rules that its program knows.
    `kept_from` has, of each group of feeds that is not whole at the sender, the revision after
    which it is; None: the sender knows nothing yet.
    """

    height: int
    echoes: dict[VoterId, Echo] = {}
    revision: int = 0
    head: str = ""
    signer: str = ""
    signature: str = ""
    rules: int = 1
    kept_from: dict[str, int] | None = None


class Fetch(Nested, frozen=True, tag_field="step", tag="fetch"):
    """Send what was decided, from this slot on."""

    slot: int


class Mark(Nested, frozen=True):
    """How far a ledger is: its height, its revision, and its head, which is empty while a newcomer
    knows none."""

    height: int
    revision: int = 0
    head: str = ""


class Log(Nested, frozen=True, tag_field="step", tag="log"):
    """What was decided, from `slot` on, and how far the sender is; `before` is where it goes on
    from, where the sender still knows that."""

    slot: int
    batches: tuple[Batch, ...]
    height: int
    before: Mark | None = None


class Offer(Nested, frozen=True, tag_field="step", tag="offer"):
    """What you ask for is gone from the log: here is the whole state after `slot`, as a snapshot.

    `cut` is its name, unique to the sender's life; `form` the version of its pages; `size` how many
    bytes its values have. `about` is JSON: all of it but what the pages hold.
    """

    cut: str
    slot: int
    form: int
    size: int
    about: str
    height: int


class Recall(Nested, frozen=True, tag_field="step", tag="recall"):
    """What do you know of me, and what did you accept? Asked in a new life, before it votes."""


class Cast(Nested, frozen=True):
    """A vote for a batch."""

    slot: int
    ballot: Ballot
    batch: Batch


class Recalled(Nested, frozen=True, tag_field="step", tag="recalled"):
    """What is known of the asker, and all that the sender accepted above its own height."""

    height: int
    echo: Echo
    votes: tuple[Cast, ...] = ()


class Want(Nested, frozen=True, tag_field="step", tag="want"):
    """Send this page of the snapshot that you offered. When it is gone, another one is offered.

    `question` numbers what is asked, also when a page is asked for again.
    """

    cut: str
    page: int
    question: int


class Snap(Nested, frozen=True, tag_field="step", tag="snap"):
    """One page of a snapshot, numbered from 0: JSON, compressed by zlib, in base64. `question` is
    the number of the Want that it answers."""

    cut: str
    page: int
    question: int
    last: bool
    body: str
    height: int


class FetchEarlier(Nested, frozen=True, tag_field="step", tag="fetch-earlier"):
    """Send the updates of a group of feeds from before a revision, the newest of them first."""

    group: str
    before: int


class EarlierUpdate(Nested, frozen=True):
    """An update, and by which keys it is found besides that of its change."""

    update: Update
    keys: tuple[str, ...] = ()


class Earlier(Nested, frozen=True, tag_field="step", tag="earlier"):
    """All updates of a group of feeds after `since` and before `before`, the newest first."""

    group: str
    before: int
    since: int
    updates: tuple[EarlierUpdate, ...] = ()


Step = (
    Prepare
    | Promise
    | Accept
    | Accepted
    | Nack
    | Decided
    | Submit
    | Beat
    | Fetch
    | Log
    | Offer
    | Want
    | Snap
    | Recall
    | Recalled
    | FetchEarlier
    | Earlier
)


class Ledger(Data, frozen=True):
    """One step of an agreement, from one life of one incarnation of a supernode.

    `boot` counts its starts and `nonce` is new at each: so a copy or an old backup is found out.
    `beginning` is the fingerprint of the project file that its ledger began with; empty when it
    does not know yet. `mark` is how far its ledger is.
    """

    origin: NodeId
    incarnation: str
    epoch: int
    boot: int
    nonce: str
    step: Step
    beginning: str = ""
    mark: Mark = Mark(-1)


# --- what everyone lives by -----------------------------------------------------------------


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
