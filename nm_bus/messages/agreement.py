"""The steps by which supernodes agree on the ledger, and by which one that is behind catches up.

They stay between supernodes: everyone else lives by `update`.
"""

from nm_bus.messages.base import Data, Nested, NodeId
from nm_bus.messages.ledger import Ballot, Batch, Change, Update, VoterId


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
