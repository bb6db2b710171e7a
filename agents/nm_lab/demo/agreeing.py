"""The second half of the demonstration: one answer everywhere, whatever happens to a supernode.

Documents are put, supernodes are killed and stopped, a lock changes hands; each sentence is checked
against what every supernode and every member says.
"""

import hashlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from nm_bus.client import Client
from nm_bus.errors import UndecidedError
from nm_bus.messages import ChangeId, NodeId, Proposed, Seconds, Update
from nm_bus.settings import AdministratorSettings, load
from nm_lab.demo.plot import COMPONENT, DOCUMENT, SUPERNODES, documents_folder, members
from nm_lab.federation.building import Federation
from nm_lab.federation.eyes import Eyes, UntrueError

FIRST, SECOND, THIRD = SUPERNODES

CONTENT = '{"sites": ["llnl", "ornl", "dkrz", "ipsl", "nci", "liu"]}\n'
AT_ONCE = 10
"""Changes made at each supernode at the same time."""
MANY = 200
"""Changes in the middle of which a supernode is killed."""
ALONE = 5
"""Changes that a supernode accepts while it is alone."""
TTL: Seconds = 4.0
"""The silence that loses a lock."""
LIMIT: Seconds = 60.0

Wait = Callable[[str, Callable[[], str], Seconds], None]
Note = Callable[[str, str], None]


@dataclass
class LedgerStory:
    """The acts. `tell` says a sentence, `wait` waits for what must come true, `note` notes it."""

    federation: Federation
    eyes: Eyes
    tell: Callable[[str], None]
    wait: Wait
    note: Note

    def play(self) -> None:
        """All acts, in order; raises UntrueError at the first thing that is not as it should be."""
        self.document_arrives()
        self.changes_at_once()
        self.killed_in_the_middle()
        self.accepted_is_not_agreed()
        self.lock_moves()

    # --- the acts

    def document_arrives(self) -> None:
        """A document is put, and is the same file at every member."""
        self.tell(f"An administrator puts the document {COMPONENT}/{DOCUMENT}.")
        begun = time.monotonic()
        with self._client() as client:
            put = client.put(COMPONENT, DOCUMENT, CONTENT)
        agreed = time.monotonic() - begun
        self.wait("every member has it", partial(self._not_everywhere, put.revision), LIMIT)
        hashes = {_sha256(documents_folder(self._folder, m) / DOCUMENT) for m in members()}
        if hashes != {hashlib.sha256(CONTENT.encode()).hexdigest()}:
            raise UntrueError(f"one document has {len(hashes)} contents")
        self.note(
            "a document is the same file at all members",
            f"{len(members())} x revision {put.revision}, sha256 {min(hashes)[:8]},"
            f" agreed after {agreed:.2f} s",
        )

    def changes_at_once(self) -> None:
        """Three supernodes are asked at once; there is one order."""
        self.tell("Changes are made at three supernodes at once.")
        before = self._revision()
        with ThreadPoolExecutor() as several:
            made = list(several.map(partial(self._puts, AT_ONCE), SUPERNODES))
        revisions = sorted(put.revision for puts in made for put in puts)
        if len(set(revisions)) != AT_ONCE * len(SUPERNODES) or revisions[0] <= before:
            raise UntrueError(f"{len(revisions)} changes have {len(set(revisions))} revisions")
        self._same_everywhere()
        self.note(
            "changes made at once have one order",
            f"revisions {revisions[0]} to {revisions[-1]}, equal heads at 3 supernodes",
        )

    def killed_in_the_middle(self) -> None:
        """A supernode is killed in the middle of many changes."""
        self.tell(f"{SECOND} is killed (kill -9) in the middle of {MANY} changes.")
        agreed: dict[ChangeId, Proposed] = {}
        with ThreadPoolExecutor() as several:
            asked = [
                several.submit(self._many, number, agreed, MANY // len(SUPERNODES) + (number < 2))
                for number in range(len(SUPERNODES))
            ]
            self.wait("half of them are agreed", lambda: _fewer(agreed, MANY // 2), LIMIT)
            self._kill(SECOND)
            for each in asked:
                each.result()
        self.tell("All are agreed without it. It is started again.")
        self.federation.start_supernode(SECOND)
        self._same_everywhere()
        # revisions have no gap, and every change is where its answer said, at each supernode.
        for updates in self._updates_at_each():
            if [u.revision for u in updates] != list(range(1, len(updates) + 1)):
                raise UntrueError("there is a gap in the revisions")
            there = {update.change.id: update.revision for update in updates}
            wrong = [id for id, put in agreed.items() if there.get(id) != put.revision]
            if wrong:
                raise UntrueError(f"{len(wrong)} agreed changes are lost, such as {wrong[0]}")
        self.note(
            "a killed supernode loses nothing that was agreed",
            f"{len(agreed)} changes, no gap in revisions 1 to {self._revision()}",
        )

    def accepted_is_not_agreed(self) -> None:
        """A supernode alone accepts and does not agree; killed and back, it delivers."""
        self.tell(f"{SECOND} and {THIRD} are stopped: {FIRST} is alone and can only accept.")
        stopped = [self.federation.supernode(node) for node in (SECOND, THIRD)]
        with _stopped(stopped), self._client(FIRST) as client:
            asked = [self._accepted(client, n) for n in range(ALONE)]
            self._kill(FIRST)
        self.tell("It is killed, the others go on, and it is started again.")
        self.federation.start_supernode(FIRST)
        self.wait(
            "what was accepted is agreed",
            partial(self._not_agreed, asked),
            LIMIT,
        )
        self._same_everywhere()
        self.note("what was accepted is agreed when it is back", f"{len(asked)} changes")

    def lock_moves(self) -> None:
        """Who holds a lock is killed, and its standby has it, with a higher token."""
        self.tell("Two of a pair want one lock; who holds it is killed.")
        tokens = self._folder / "tokens"
        with ExitStack() as ends:
            active = self._holder(tokens)
            ends.callback(_ended, active)
            self.wait("one holds the lock", lambda: _fewer(_lines(tokens), 1), LIMIT)
            ends.callback(_ended, self._holder(tokens))
            _ended(active)
            begun = time.monotonic()
            self.wait("the standby holds it", lambda: _fewer(_lines(tokens), 2), LIMIT)
            seconds = time.monotonic() - begun
        first, second = map(int, _lines(tokens)[:2])
        if second <= first:
            raise UntrueError(f"the lock's token fell from {first} to {second}")
        self.note(
            "a lock moves to the standby",
            f"after {seconds:.1f} s (its holder may be silent for {TTL:g} s),"
            f" token {first} then {second}",
        )

    # --- what they are made of

    @property
    def _folder(self) -> Path:
        return self.federation.plan.folder

    @contextmanager
    def _client(self, *nodes: NodeId) -> Iterator[Client]:
        """An administrator's client of these supernodes, or of all."""
        settings = load(self.federation.administrator, AdministratorSettings)
        chosen = tuple(p for p in settings.supernodes if not nodes or p.node in nodes)
        with Client(msgspec.structs.replace(settings, supernodes=chosen)) as client:
            yield client

    def _puts(self, count: int, node: NodeId) -> list[Proposed]:
        with self._client(node) as client:
            return [client.put("demo", f"{node}-{n}", str(n)) for n in range(count)]

    def _many(self, number: int, agreed: dict[ChangeId, Proposed], count: int) -> None:
        """Make changes one after the other, at any supernode that answers."""
        with self._client() as client:
            for n in range(count):
                put = client.put("demo", f"many-{number}-{n}", str(n), timeout=LIMIT)
                agreed[put.id] = put

    def _accepted(self, client: Client, number: int) -> ChangeId:
        """A change that one supernode has on its disk, and that nobody has agreed upon."""
        value = {"content": str(number), "encoding": "text"}
        try:
            put = client.propose("set", f"config/demo/alone-{number}", value, timeout=1.0)
        except UndecidedError as error:
            return error.id
        raise UntrueError(f"a supernode alone agreed to {put.id}")

    def _updates_at_each(self) -> list[list[Update]]:
        found = []
        for node in SUPERNODES:
            with self._client(node) as client:
                found.append(list(client.updates_of()))
        return found

    def _revision(self) -> int:
        with self._client() as client:
            return client.standing().revision

    def _same_everywhere(self) -> None:
        self.wait("every supernode has the same head", self._apart, LIMIT)

    def _apart(self) -> str:
        with self._client() as client:
            found = [client.standing(node) for node in SUPERNODES]
        at = {(standing.revision, standing.head) for standing in found}
        return "" if len(at) == 1 else f"revisions {sorted(revision for revision, _ in at)}"

    def _not_everywhere(self, revision: int) -> str:
        key = f"config/{COMPONENT}/{DOCUMENT}"
        seen = self.eyes.members(FIRST)
        running = [seen[node].state.running if node in seen else None for node in members()]
        have = [r for r in running if r is not None and r.documents.get(key) == revision]
        return "" if len(have) == len(running) else f"{len(have)} of {len(running)} members"

    def _not_agreed(self, changes: list[ChangeId]) -> str:
        with self._client() as client:
            found = [client.outcome(change) for change in changes]
        agreed = [each for each in found if each is not None and each.state == "agreed"]
        return "" if len(agreed) == len(changes) else f"{len(agreed)} of {len(changes)}"

    def _kill(self, node: NodeId) -> None:
        process = self.federation.supernode(node)
        process.kill()
        process.wait()

    def _holder(self, tokens: Path) -> "subprocess.Popen[bytes]":
        """One of a pair: it wants the lock, and writes its token down while it has it."""
        token = f'echo "$NM_BUS_LOCK_TOKEN" >> {shlex.quote(str(tokens))}'
        work = f"{token}; while kill -0 $PPID; do sleep 0.2; done"
        config = ["--config", str(self.federation.administrator)]
        options = ["--wait", "600", "--ttl", f"{TTL:g}", *config, "--", "sh", "-c", work]
        return subprocess.Popen(
            [sys.executable, "-m", "nm_agents.main", "lock", "run", "demo", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=self.federation.lifeline.group,
        )


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


@contextmanager
def _stopped(processes: list["subprocess.Popen[bytes]"]) -> Iterator[None]:
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def _fewer(found: Sized, wanted: int) -> str:
    return "" if len(found) >= wanted else f"{len(found)} of {wanted}"


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
