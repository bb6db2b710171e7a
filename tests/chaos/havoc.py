"""What is done to a federation: programs and brokers are killed, stopped and cut off, in turn.

One trouble at a time, and each is over before the next begins: what was agreed must survive any
one of them, and the federation goes on through it, since a majority is left.
"""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle

from nm_bus.messages import NodeId
from nm_lab.federation.building import Federation

LASTS = 4.0
"""Seconds that a trouble lasts."""
REST = 2.0
"""Seconds between two of them."""


@dataclass
class Havoc(threading.Thread):
    """Makes trouble until it is told to end; `done` tells what it did."""

    federation: Federation
    seed: int
    done: list[str] = field(default_factory=list)
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(name="havoc", daemon=True)
        self._ended = threading.Event()
        self._random = random.Random(self.seed)

    __hash__ = threading.Thread.__hash__

    def end(self) -> None:
        """Make no more trouble, and fix the last."""
        self._ended.set()
        self.join(120.0)
        assert not self.is_alive(), "the trouble does not end"
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        try:
            for trouble, node in self._turns():
                if self._ended.wait(REST):
                    return
                self.done.append(f"{trouble.__name__.strip('_')} {node}")
                trouble(node)
        except BaseException as error:  # told to the test by `end`
            self.failure = error
            raise

    def _turns(self) -> Iterator[tuple[Callable[[NodeId], None], NodeId]]:
        troubles = (
            self._kill_program,
            self._stop_program,
            self._cut_off,
            self._kill_broker,
            self._stop_broker,
        )
        nodes = list(self.federation.plan.supernodes)
        for trouble in cycle(troubles):
            self._random.shuffle(nodes)
            yield trouble, nodes[0]

    def _last(self) -> None:
        self._ended.wait(LASTS)

    # --- the troubles

    def _kill_program(self, node: NodeId) -> None:
        process = self.federation.supernode(node)
        process.kill()
        process.wait(30.0)
        self._last()
        self.federation.start_supernode(node)

    def _stop_program(self, node: NodeId) -> None:
        process = self.federation.supernode(node)
        process.send_signal(signal.SIGSTOP)
        try:
            self._last()
        finally:
            process.send_signal(signal.SIGCONT)

    def _cut_off(self, node: NodeId) -> None:
        relays = self.federation.links_of(node)
        assert self.federation.relays is not None
        self.federation.relays.cut(*relays)
        try:
            self._last()
        finally:
            self.federation.relays.heal(*relays)

    def _kill_broker(self, node: NodeId) -> None:
        self.federation.running[node].kill()
        self._last()
        self.federation.start_broker(node)

    def _stop_broker(self, node: NodeId) -> None:
        broker = self.federation.running[node]
        broker.pause()
        try:
            self._last()
        finally:
            broker.resume()


def until(condition: Callable[[], str], limit: float) -> None:
    """Wait until a condition says that nothing is missing."""
    deadline = time.monotonic() + limit
    while missing := condition():
        assert time.monotonic() < deadline, f"not within {limit:g} s: {missing}"
        time.sleep(0.5)
