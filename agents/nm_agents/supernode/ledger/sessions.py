"""Ends the sessions whose owners are silent, and tells the other supernodes who is not.

That an owner lives never takes a revision; that it is silent is one change, which names the
generation of the session, so that a late or a second one does nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_bus.core.ledger.applying import Applied
from nm_bus.core.ledger.vigil import Vigil
from nm_bus.core.ledger.voters import node_of
from nm_bus.core.view import View
from nm_bus.messages import Change, NodeId, Proposed, Seconds
from nm_bus.transport.base import Transport

PREFIX = "session/"

TURNS = 3
"""A peer that was not heard for so many of its statements may have signs that are not here."""

MOST_ENDED = 100
"""How many sessions are ended at once: each end is signed, which takes 3 ms with a long RSA key.
The rest follows at the next beat."""


@dataclass(slots=True)
class Sessions:
    """The sessions of one supernode's ledger, by `start`."""

    driver: LedgerDriver
    view: View
    vigil: Vigil
    now: Callable[[], Seconds]

    def start(self) -> None:
        """Look at the silences at every beat of the ledger."""
        self._begin()
        self.driver.on_applied(self._applied)
        self.driver.on_installed(self._begin)
        self.driver.on_tick(lambda _: self._look())

    def asked(self, key: str, user: NodeId) -> None:
        """A principal asked for a key: for its own session, that is a sign of life."""
        if key.startswith(f"{PREFIX}{user}/"):
            self.vigil.sign(key, self.now())

    def told(self, sessions: Iterable[str]) -> None:
        """Another supernode heard of the owners of these."""
        self.vigil.told(sessions, self.now())

    def _begin(self) -> None:
        self.vigil.begin(self.driver.state.under(PREFIX), self.now())

    def _applied(self, applied: list[Applied]) -> None:
        for key, entry in (item for each in applied for item in each.entries.items()):
            if key.startswith(PREFIX) and entry is not None:
                self.vigil.opened(entry, self.now())
            elif key.startswith(PREFIX):
                self.vigil.closed(key)

    def _look(self) -> None:
        if not self._is_in_touch():
            self.vigil.restart()
            return
        silent = self.vigil.silent(self.now(), MOST_ENDED)
        self.driver.propose_all([(self._end(*session), _whatever) for session in silent])

    def _end(self, session: str, generation: int) -> Change:
        return self.driver.own_change("expire", session, {"generation": generation})

    def _is_in_touch(self) -> bool:
        """Whether a majority of the voters is heard: who is cut off misses their signs."""
        voters = {node_of(voter) for voter in self.driver.state.voters}
        heard = sum(1 for voter in voters if voter == self.driver.node or self._hears(voter))
        return self.driver.is_awake and 2 * heard > len(voters)

    def _hears(self, peer: NodeId) -> bool:
        known = self.view.supernodes.get(peer)
        if known is None or known.heard is None:
            return False
        return self.now() - known.heard <= self.vigil.grace


def sessions_of(
    driver: LedgerDriver, transport: Transport, view: View, statement: Seconds
) -> Sessions:
    """The sessions of a ledger, where supernodes speak at this interval."""
    return Sessions(driver, view, Vigil(TURNS * statement), transport.now)


def _whatever(_proposed: Proposed) -> None:
    """Another supernode may have been first."""
