"""`python -m nm_lab.bench.proposals LOAD`: a process that asks for changes at all supernodes.

A window of proposals is always under way at each; what is agreed is counted, and the count printed
at the end. A proposal that was not answered in good order is not counted, and another one is made.
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from uuid import uuid4

import msgspec

from nm_agents.connecting import connect
from nm_bus.codec import Rejected, decode, encode
from nm_bus.documents import Document, stored
from nm_bus.identity.role import ADMINISTRATOR
from nm_bus.identity.signing import Signer
from nm_bus.messages import Answer, Change, Propose, Seconds
from nm_bus.settings import SupernodeSettings, Tls, load
from nm_bus.topology import PEER_BYTES, request_exchange, request_key
from nm_bus.transport.base import Delivery, Flow, Outgoing, Status, Transport

WAIT: Seconds = 5.0
AGAIN: Seconds = 0.1
"""The pause after an answer that was none, such as `too many requests`."""

WARM_UP: Seconds = 1.0
"""What is agreed first, while the windows fill, is not counted."""

DOCUMENTS = 100


class ProposalLoad(msgspec.Struct, frozen=True):
    """Who asks whom, for how long. `files` are the user's authority, certificate and key, and
    `supernodes` the settings files of those that are asked."""

    user: str
    files: tuple[str, str, str]
    supernodes: tuple[str, ...]
    window: int
    seconds: Seconds


class Sustained(msgspec.Struct):
    """How many changes were agreed, and how many answers were none."""

    agreed: int = 0
    other: int = 0


@dataclass(slots=True)
class Proposer:
    """Keeps a window of proposals open at one supernode, from when the transport is up."""

    transport: Transport
    user: str
    signer: Signer
    window: int
    seconds: Seconds
    found: Sustained = field(default_factory=Sustained)
    _incarnation: str = field(default_factory=lambda: uuid4().hex)
    _sequence: "count[int]" = field(default_factory=lambda: count(1))
    _counts_from: Seconds | None = None

    def status(self, status: Status) -> None:
        """Begin once."""
        if status.flow is Flow.UP and self._counts_from is None:
            self._counts_from = self.transport.now() + WARM_UP
            self.transport.later(WARM_UP + self.seconds, self.transport.stop)
            for _ in range(self.window):
                self._ask()

    def _ask(self) -> None:
        request = uuid4().hex
        asked = Propose(self._change(), self.signer.certificate, WAIT)
        body = encode(asked, source=self.user, id=request, time=self.transport.now())
        message = Outgoing(request_exchange(ADMINISTRATOR), request_key(asked), body)
        self.transport.request(message, self._answered, timeout=2 * WAIT)

    def _change(self) -> Change:
        n = next(self._sequence)
        document = Document("bench", f"load{n % DOCUMENTS}", f"version {n}".encode())
        key, value = document.key, stored(document)
        change = Change(f"{self.user}/{self._incarnation}/{n}", self.user, "set", key, 0, value)
        return self.signer.sign(change)

    def _answered(self, delivery: Delivery | None) -> None:
        passed = self.transport.now() - (self._counts_from or 0.0)
        if passed >= self.seconds:
            return
        if _is_agreed(delivery):
            self.found.agreed += passed >= 0
            self._ask()
        else:
            self.found.other += 1
            self.transport.later(AGAIN, self._ask)


def _is_agreed(delivery: Delivery | None) -> bool:
    event = decode(delivery.body, limit=PEER_BYTES) if delivery is not None else None
    if event is None or isinstance(event, Rejected) or not isinstance(event.data, Answer):
        return False
    return event.data.ok and event.data.data.get("state") == "agreed"


def main() -> None:
    """Ask as the load that the only argument holds as JSON, each supernode on a thread."""
    wanted = msgspec.json.decode(sys.argv[1], type=ProposalLoad)
    tls = Tls(*map(Path, wanted.files))
    askers = [_asker(Path(file), tls, wanted) for file in wanted.supernodes]
    runs: list[Callable[[], None]] = [partial(_run, asker) for asker in askers]
    threads = [threading.Thread(target=run, daemon=True) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Sustained(sum(a.found.agreed for a in askers), sum(a.found.other for a in askers))
    print(msgspec.json.encode(total).decode())


def _asker(file: Path, tls: Tls, wanted: ProposalLoad) -> Proposer:
    settings = msgspec.structs.replace(load(file, SupernodeSettings), node=wanted.user, tls=tls)
    transport = connect(settings, "the bench's proposals", settings.broker, separate=False)
    return Proposer(transport, wanted.user, Signer.load(tls), wanted.window, wanted.seconds)


def _run(asker: Proposer) -> None:
    asker.transport.on_status(asker.status)
    asker.transport.run()


if __name__ == "__main__":
    main()
