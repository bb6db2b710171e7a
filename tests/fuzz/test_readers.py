"""Every reader of what comes from outside refuses what it cannot read, and never fails otherwise.

Good input is spoilt in all ways by chance, with a fixed seed: a small number of times in a plain
run, 10,000 times in the long one. A refusal is a value, or an error of ours.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from nm_agents.member import metricfile
from nm_agents.publishing.inhand import FILE as IN_HAND
from nm_agents.publishing.inhand import FileInHand
from nm_agents.publishing.memory import FILE, remembered
from nm_broker.management import ManagementApi
from nm_broker.pki import Authority
from nm_bus.checking.check import OfDocument, OfRecord, found
from nm_bus.codec import decode, encode, id_of, read
from nm_bus.core.ledger.answers import Answers
from nm_bus.core.ledger.effects import Vote
from nm_bus.core.nagios import series, verdict
from nm_bus.documents.media import JSON, TOML, XML
from nm_bus.errors import NmBusError
from nm_bus.identity.signing import Signer, is_signed, verify
from nm_bus.messages import Ballot, Batch, Change, Echo, Entry, Mark, Metrics, Proposed
from nm_bus.project import load_project
from nm_bus.settings import AdministratorSettings, MemberSettings, SupernodeSettings, load
from nm_bus.storage.ledger import LedgerIdentity, create_ledger, open_ledger
from nm_bus.storage.position import Position
from nm_bus.storage.spool import Spool
from nm_bus.storage.sqlite import open_store
from nm_lab.samples.history import update_of
from nm_lab.samples.mutated import mutations

COUNTS = (200, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(1_800)]))
CONFIGS = Path(__file__).parents[2] / "agents" / "configs"
ALICE = "alice.example.org"
NOW = datetime(2026, 11, 21, tzinfo=UTC)

Read = Callable[[bytes], object]

ODD = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\n", b'"', b"'", b"=", b"[", b"{", b"}", b".", b"-", b"nan",
    b"1e999", b"9" * 400, b"a" * 300, b"[" * 2_000, b"a." * 500, b"\xed\xa0\x80", b"\r", b"%", b";",
)  # fmt: skip
"""What rarely stands where it is put."""


def spoilt(good: bytes, random: Random) -> Iterator[bytes]:
    """Any text or bytes, changed in one of a few ways, without end."""
    filled = [at for at, byte in enumerate(good) if byte]
    while True:
        one = random.choice(filled)
        at, end = sorted(random.randrange(len(good) + 1) for _ in range(2))
        yield random.choice(
            (
                good[:at],
                good[:at] + good[end:],
                good[:end] + good[at:],
                good[:at] + random.choice(ODD) + good[at:],
                good[:at] + random.choice(ODD) + good[end:],
                good[:at] + random.randbytes(random.randrange(1, 9)) + good[at + 1 :],
                good[:one] + random.randbytes(1) + good[one + 1 :],
                random.randbytes(random.randrange(300)),
            )
        )


@dataclass(frozen=True)
class Reader:
    """What is read, as it should be, and who reads it."""

    good: bytes
    read: Read


def of_file(path: Path, load: Callable[[Path], object]) -> Read:
    """A reader of a file, which is written before."""

    def written_and_read(body: bytes) -> object:
        path.write_bytes(body)
        return load(path)

    return written_and_read


def messages(_folder: Path) -> Iterator[tuple[str, Reader]]:
    good = encode(Metrics("boot", 1, 0.0, {"host.load.1m": 1.0}), source=ALICE, id="1", time=0.0)
    yield "a message", Reader(good, decode)
    yield "a trusted message", Reader(good, lambda body: read(body, Metrics))
    yield "the id of a refused message", Reader(good, id_of)


def documents(_folder: Path) -> Iterator[tuple[str, Reader]]:
    schema = b'{"type": "object", "properties": {"port": {"$ref": "#/$defs/a"}}, "$defs": {"a": 1}}'
    for media, good in (
        (JSON, b'{"port": [80, 1.5e3, null, "x"]}'),
        (TOML, b'a.b = 1\n[[c]]\nd = 2024-01-01T00:00:00Z\n[e]\nf = """x"""\n'),
        (XML, b'<?xml version="1.0" encoding="utf-8"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
    ):
        yield media, Reader(good, lambda body, media=media: found(OfDocument(body, media)))  # type: ignore[misc]
    yield "a schema", Reader(schema, _held_against)
    yield "a record", Reader(b"endpoint", lambda body: found(OfRecord("endpoint", {"url": body})))


def _held_against(schema: bytes) -> str:
    return found(OfDocument(b'{"port": 80}', JSON, schema.decode("utf-8", "replace")))


def certificates(folder: Path) -> Iterator[tuple[str, Reader]]:
    authority = Authority.create(folder / "ca", starts=NOW - timedelta(days=1))
    tls = authority.issue(ALICE, folder / "ca", starts=NOW - timedelta(days=1))
    ca, own = tls.ca.read_text(), tls.certificate.read_text()
    change = Signer.load(tls).sign(Change(f"{ALICE}/1/1", ALICE, "set", "config/a/b", 3, {}))

    def verified(body: bytes) -> str:
        said = verify(change, body.decode("utf-8", "replace"), ca, ALICE, NOW.timestamp())
        assert said == "" or said.isprintable()
        return said

    def signed(body: bytes) -> bool:
        text = body.decode("utf-8", "replace")
        return is_signed(b"text", "AAAA", text) or is_signed(b"text", text, own)

    yield "a signer's certificate", Reader(own.encode(), verified)
    yield "a signature", Reader(own.encode(), signed)


def of_members(_folder: Path) -> Iterator[tuple[str, Reader]]:
    good = b'{"values": {"a.b": 1.5}, "declared": [{"name": "a.b", "unit": "s"}]}'
    yield "a drop-in file", Reader(good, metricfile.read)
    plugin = b"DISK OK - fine | /=2643MB;5948;5958;0;5968 'a b'=21C;~:3;@1:2\nmore | x=1%"
    yield "a plugin's output", Reader(plugin, _plugin)


def _plugin(body: bytes) -> object:
    said = verdict(body[0] if body else 0, body.decode(errors="replace"))
    return series("disk", said.values)


def files(folder: Path) -> Iterator[tuple[str, Reader]]:
    for kind, name in (
        (MemberSettings, "member.toml"),
        (SupernodeSettings, "supernode.toml"),
        (AdministratorSettings, "admin.toml"),
    ):
        reads = of_file(folder / name, lambda path, kind=kind: load(path, kind))  # type: ignore[misc]
        yield name, Reader((CONFIGS / name).read_bytes(), reads)
    project = CONFIGS / "project.toml"
    yield "a project", Reader(project.read_bytes(), of_file(folder / "project.toml", load_project))
    memory = b'{"project": "p", "documents": {"config/a/b": {"revision": 1, "digest": "ab"}}}'
    reads = of_file(folder / FILE, lambda _path: remembered(folder, "p"))
    yield "what a folder published", Reader(memory, reads)
    begun = b'{"config/a/b": ["ab", 1], "config/a/c": ["cd", 2]}'
    yield (
        "which file was in hand",
        Reader(begun, of_file(folder / IN_HAND, lambda _path: FileInHand(folder))),
    )


def replies(_folder: Path) -> Iterator[tuple[str, Reader]]:
    good = b'[{"name": "amq.direct", "messages": 3, "arguments": {}, "user": "a"}]'

    class Canned(ManagementApi):
        """Gets one reply, whatever is asked."""

        def _exchange(self, *_asked: object) -> tuple[int, bytes]:
            return int(self.user), self.password.encode("latin-1")

    def asked(status: str) -> Read:
        def queues(body: bytes) -> object:
            return Canned("http://localhost:1", status, body.decode("latin-1")).queues("v")

        return queues

    yield "a management reply", Reader(good, asked("200"))
    yield "a management refusal", Reader(good, asked("400"))


def full_ledger(path: Path) -> None:
    """A ledger's file with something in each of its tables."""
    change = Change("a/i/1", "a", "set", "config/a/b", value={"content": "x"})
    batch = Batch("sn1#genesis", 1, (change,))
    identity = LedgerIdentity("test", "sn1", "genesis", 1, "a" * 64)
    with closing(create_ledger(path, identity, Position(height=0, head=identity.file))) as made:
        made.keep_change(change)
        made.keep_vote(2, Vote(Ballot(1, "sn1#genesis"), None, batch))
        made.keep_peers({"sn2#genesis": Echo(1, "nonce", 1)})
        made.keep_batch(Mark(1, 1, "h"), batch)
        made.keep_entries({"config/a/b": Entry("config/a/b", {"content": "x"}, 1, "a")})
        made.keep_update(update_of(change, 1), ())
        answers = Answers()
        answers.keep(Proposed(change.id, "agreed", revision=1), 1)
        made.answers.keep(answers, {("a", "i"): [Proposed(change.id, "agreed", revision=1)]})


def stores(folder: Path) -> Iterator[tuple[str, Reader]]:
    spool, store, kept_ledger = folder / "spool.db", folder / "store.db", folder / "ledger.db"
    with closing(Spool.open(spool, 10**6, 10**6)) as made:
        made.put(b"body", 0.0, 0.0)
    with closing(open_store(store)) as kept:
        kept.put_many("kind", {"key": b"value"})
    full_ledger(kept_ledger)

    def spooled(path: Path) -> object:
        with closing(Spool.open(path, 10**6, 10**6)) as opened:
            return opened.oldest(10)

    def stored(path: Path) -> object:
        with closing(open_store(path)) as opened:
            return list(opened.load("kind"))

    def ledger(path: Path) -> object:
        with closing(open_ledger(path)) as opened:
            opened.compact()
            return [
                opened.votes(),
                opened.outbox(),
                opened.peers(),
                opened.project(),
                opened.batches(1),
                opened.history("config/a/b", 0, 10),
                *opened.entries(),
                *opened.answers.all(),
            ]

    for name, good, reads in (
        ("a spool", spool, spooled),
        ("a store", store, stored),
        ("a ledger's file", kept_ledger, ledger),
    ):
        yield name, Reader(good.read_bytes(), of_file(folder / f"{reads.__name__}.db", reads))


GROUPS = (messages, documents, certificates, of_members, files, replies, stores)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_what_cannot_be_read_is_a_refusal_and_nothing_else(
    group: Callable[[Path], Iterator[tuple[str, Reader]]], count: int, tmp_path: Path
) -> None:
    for name, reader in group(tmp_path):
        for number, body in enumerate(islice(spoilt(reader.good, Random(7)), count)):
            _refuses(name, number, reader.read, body)


def _refuses(name: str, number: int, reads: Read, body: bytes) -> None:
    try:
        with suppress(NmBusError):
            reads(body)
    except Exception as error:
        raise AssertionError(f"{name}, number {number}: {body[:500]!r}") from error


@pytest.mark.parametrize("count", COUNTS)
def test_a_spoilt_message_is_a_refusal_and_nothing_else(count: int, tmp_path: Path) -> None:
    for name, reader in messages(tmp_path):
        for number, body in enumerate(islice(mutations([reader.good], Random(7)), count)):
            _refuses(name, number, reader.read, body)
