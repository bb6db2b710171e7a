"""A new version of the rules begins once every voter knows it, so that an upgrade stops nobody."""

import logging
from dataclasses import dataclass

from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_bus.core.ledger.rules.version import KEY, in_force
from nm_bus.messages import Proposed, Seconds

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Upgrade:
    """Proposes the next version for one supernode's ledger, by `start`."""

    driver: LedgerDriver
    _asked: int = 0
    """The version that was proposed and is not answered yet."""

    def start(self) -> None:
        """Look at every beat of the ledger."""
        self.driver.on_tick(self._look)

    def _look(self, _now: Seconds) -> None:
        driver, state = self.driver, self.driver.state
        voters, book = state.voters, driver.machine.book
        known = driver.peers.known_rules(voters, state.standbys, max(book))
        proposer = driver.agreement.author or min(voters, default="")
        is_its_turn = driver.is_awake and proposer == driver.voter_id
        if is_its_turn and known > max(in_force(state), self._asked):
            begin = driver.own_change("begin", KEY, {"version": known})
            self._asked = known
            if driver.propose(begin, self._answered) == "full":
                self._asked = 0

    def _answered(self, answer: Proposed) -> None:
        _LOG.info("version %d of the rules: %s %s", self._asked, answer.state, answer.reason)
        self._asked = 0
