"""A session in the ledger, and the thread that tells the supernodes that its owner lives.

The owner holds its session for lost as soon as no supernode has confirmed it for the time to live,
counted from when it asked: so it gives up before anybody else can be granted what it held.
"""

import secrets
import threading
import time
from typing import Any, Protocol

from nm_bus.errors import NmBusError
from nm_bus.messages import Entry, NodeId, Proposed, Seconds

SHARE = 3
"""How many signs of life are tried within the time to live."""

GOODBYE: Seconds = 5.0


class LedgerAsking(Protocol):
    """What a session needs of a `nm_bus.client.Client`."""

    @property
    def user(self) -> NodeId:
        """Who we are."""

    def get(self, key: str, *, at_least: int = 0, agreed: bool = False) -> Entry | None:
        """An entry."""

    def propose(
        self, kind: str, key: str, value: dict[str, Any] | None = None, *, timeout: Seconds
    ) -> Proposed:
        """Ask for a change."""

    def close(self) -> None:
        """Leave."""


class Session(threading.Thread):
    """Open from `open` to `close`, unless it is `lost` before: then `reason` says why.

    `beside` is a ledger for the thread alone, with a timeout that fits the time to live.
    """

    def __init__(self, ledger: LedgerAsking, beside: LedgerAsking, ttl: Seconds) -> None:
        name = secrets.token_hex(8)
        super().__init__(name=f"session {name}", daemon=True)
        self.key = f"session/{ledger.user}/{name}"
        self.lost, self.reason, self.generation = threading.Event(), "", 0
        self._ledger, self._beside, self._ttl = ledger, beside, ttl
        self._confirmed: Seconds = 0.0
        self._closed = threading.Event()

    def open(self, timeout: Seconds) -> None:
        """Begin it; raises what `Client.propose` does."""
        self._confirmed = time.monotonic()
        value = {"ttl": round(self._ttl * 1000)}
        self.generation = self._ledger.propose("open", self.key, value, timeout=timeout).revision
        self.start()

    @property
    def named(self) -> dict[str, Any]:
        """The session as the value of a change that is made in it."""
        return {"session": self.key, "generation": self.generation}

    def close(self, timeout: Seconds) -> None:
        """End it, which frees its locks. When no supernode answers, they end it later."""
        self._closed.set()
        if self.is_alive():
            self.join(GOODBYE)
        if not self.generation or self.lost.is_set():
            return
        generation = {"generation": self.generation}
        try:
            self._ledger.propose("close", self.key, generation, timeout=timeout)
        except NmBusError as error:
            self._lose(f"it could not be closed: {error}")

    def run(self) -> None:
        """Give signs of life until it is closed or lost."""
        try:
            while not self._closed.wait(self._ttl / SHARE):
                self._sign_of_life()
                if self.lost.is_set():
                    break
        finally:
            self._beside.close()

    def _sign_of_life(self) -> None:
        """The owner's question about its own session is the sign that it lives."""
        asked = time.monotonic()
        try:
            entry = self._beside.get(self.key, at_least=self.generation)
        except NmBusError as error:
            if time.monotonic() - self._confirmed >= self._ttl * (1 - 1 / SHARE):
                self._lose(f"no supernode confirmed it in time: {error}")
            return
        if entry is None or entry.value.get("generation") != self.generation:
            self._lose("the supernodes ended it, since they received nothing of its owner")
        self._confirmed = asked

    def _lose(self, reason: str) -> None:
        self.reason = reason
        self.lost.set()
