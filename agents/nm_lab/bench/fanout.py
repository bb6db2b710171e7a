"""`nm-bus bench fanout`: one update to many inboxes, beside the broker's own fan-out of its bytes.

Ours is what a supernode and its members do: the feed publishes, each inbox decodes, verifies and
applies. The broker's own is plain pika: the same bytes by an exchange of the same kind to the same
queues, read by the same process without looking at them. They take turns on one broker.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import msgspec
import pika
from pika.adapters.blocking_connection import BlockingChannel

from nm_agents.connecting import connect
from nm_agents.supernode.ledger.feed import UpdateFeed
from nm_bus.codec import CONTENT_TYPE, encode
from nm_bus.core.ledger.applying import Applied, apply_batch
from nm_bus.core.ledger.genesis import genesis
from nm_bus.core.ledger.state import State
from nm_bus.documents import Document, stored
from nm_bus.messages import Batch, Change, NodeId, Seconds, Update
from nm_bus.project import FirstSupernode, Project
from nm_bus.topology import Sizes, update_key
from nm_bus.transport.pika import PikaTransport
from nm_lab.bench.aims import Measured
from nm_lab.bench.connections import running
from nm_lab.bench.crowd import channel
from nm_lab.bench.ground import BenchBroker, admit_impersonator
from nm_lab.bench.listeners import PLAIN, InboxCrowd
from nm_lab.bench.listening import Ears, listening

PROJECT = "fanout"
AUTHOR = "author.bench.example"
DOCUMENT = "x" * 1_000
"""What is published: a document of one kilobyte."""

ARRIVAL: Seconds = 60.0
"""How long one message may take to the last inbox."""

FANOUT_AIM = 1.5

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FannedOut:
    """How long each message took to the last inbox, ours and the broker's own in turn."""

    queues: int
    bytes: int
    ours: list[Seconds]
    plain: list[Seconds]

    @property
    def ratio(self) -> float:
        """Ours against the broker's own, by their medians."""
        return median(self.ours) / median(self.plain)

    def measured(self) -> list[Measured]:
        """The figure beside its aim."""
        name = "an update to all inboxes, against the broker's own fan-out"
        return [Measured(name, self.ratio, FANOUT_AIM, most=True)]


@dataclass(slots=True)
class Source:
    """A ledger without supernodes, whose every change is agreed at once: what a feed publishes."""

    state: State
    node: NodeId = AUTHOR
    published: int = 0
    feed_from: int = 0
    _updates: list[Update] = field(default_factory=list)
    _listeners: list[Callable[[list[Applied]], None]] = field(default_factory=list)

    def change(self) -> None:
        """Let a document have its next version."""
        slot = self.state.revision + 1
        value = stored(Document("bench", "document", f"{slot} {DOCUMENT}".encode()))
        id = f"{AUTHOR}/bench/{slot}"
        change = Change(id, AUTHOR, "set", "config/bench/document", slot - 1, value)
        moment = round(time.time() * 1_000_000)
        applied = apply_batch(self.state, Batch(AUTHOR, moment, (change,)))
        self._updates += [each.update for each in applied if each.update is not None]
        for listener in self._listeners:
            listener(applied)

    def updates(self, since: int, limit: int, key: str = "") -> list[Update]:
        """The revisions after `since`, oldest first."""
        return self._updates[since : since + limit]

    def keep_published(self, revision: int) -> None:
        """The feed was published up to this revision."""
        self.published = revision

    def on_applied(self, listener: Callable[[list[Applied]], None]) -> None:
        """Call `listener` with what was applied."""
        self._listeners.append(listener)

    def on_installed(self, listener: Callable[[], None]) -> None:
        """No snapshot ever takes the place of this state."""


def fanout(place: BenchBroker, queues: int, updates: int, told: Told) -> FannedOut:
    """Publish so many updates and as many plain messages, in turn, to so many queues."""
    place.lay_out(PROJECT, Sizes())
    admit_impersonator(place.api, PROJECT, configure=".*")
    source = Source(genesis(Project(PROJECT, (FirstSupernode("sn1.bench.example"),), (AUTHOR,))))
    told(f"making {queues} queues")
    with (
        listening(_crowd(place, queues)) as ears,
        _feeding(place, source) as transport,
        channel(place.broker, PROJECT, place.tls) as plainly,
    ):
        ours, plain = [], []
        for n in range(1, updates + 1):
            told(f"update {n} of {updates}")
            ours.append(_ours(transport, source, ears, n))
            # the last update as the feed published it.
            (update,) = source.updates(source.state.revision - 1, 1)
            id = f"{update.epoch}.{update.revision}"
            (body, key) = (
                encode(update, source=AUTHOR, id=id, time=time.time()),
                update_key(update.change),
            )
            plain.append(_plain(plainly, body, key, ears, n))
    return FannedOut(queues, len(body), ours, plain)


def _crowd(place: BenchBroker, queues: int) -> InboxCrowd:
    files = str(place.tls.ca), str(place.tls.certificate), str(place.tls.key)
    return InboxCrowd(PROJECT, (place.broker,), files, queues, epoch=1, revision=0)


@contextmanager
def _feeding(place: BenchBroker, source: Source) -> Iterator[PikaTransport]:
    """A supernode's feed on a thread of its own."""
    settings = msgspec.structs.replace(place.supernode, project=PROJECT)
    transport = connect(settings, "feed", place.broker, separate=False)
    UpdateFeed(source, transport).start()
    with running(transport):
        yield transport


def _ours(transport: PikaTransport, source: Source, ears: Ears, n: int) -> Seconds:
    began = time.time()
    transport.call_threadsafe(source.change)
    return ears.when(ARRIVAL, revision=n) - began


def _plain(plainly: BlockingChannel, body: bytes, key: str, ears: Ears, n: int) -> Seconds:
    properties = pika.BasicProperties(content_type=CONTENT_TYPE, message_id=str(n))
    began = time.time()
    plainly.basic_publish(PLAIN, key, body, properties)
    return ears.when(ARRIVAL, number=n) - began
