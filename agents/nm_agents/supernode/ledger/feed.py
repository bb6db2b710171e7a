"""Updates as everyone hears of them: what was applied here, in order, at least once.

Goes on where it stopped, after a lost connection and in the next life: the place is kept on disk,
behind what the broker has confirmed and never before it. Nothing is published that is not applied.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from nm_agents.host.sender import Sender
from nm_bus.core.ledger.applying import Applied
from nm_bus.core.ledger.state import State
from nm_bus.messages import NodeId, Seconds, Update
from nm_bus.topology import UPDATES, update_key
from nm_bus.transport.base import Flow, Outcome, Status, Transport

_LOG = logging.getLogger(__name__)

IN_FLIGHT = 100
"""How many updates may wait for the broker's confirmation."""

KEEP_EVERY: Seconds = 1.0
"""How often the place is kept: what was published since is published again after a crash."""

AGAIN: Seconds = 1.0
"""When it is tried again after the broker did not take an update."""


class Applying(Protocol):
    """What a feed needs of the ledger."""

    @property
    def node(self) -> NodeId:
        """The supernode."""

    @property
    def state(self) -> State:
        """What was applied."""

    @property
    def published(self) -> int:
        """Up to which revision the feed was published, as it is on disk."""

    @property
    def feed_from(self) -> int:
        """The revision after which all updates are there."""

    def updates(self, since: int, limit: int, key: str = "") -> list[Update]:
        """The revisions after `since`, oldest first."""

    def keep_published(self, revision: int) -> None:
        """The feed was published up to this revision."""

    def on_applied(self, listener: Callable[[list[Applied]], None]) -> None:
        """Call `listener` with what was applied."""

    def on_installed(self, listener: Callable[[], None]) -> None:
        """Call `listener` when a snapshot has taken the place of the state."""


@dataclass(slots=True)
class UpdateFeed:
    """Publishes the updates of one supernode's ledger; `start` begins it."""

    ledger: Applying
    transport: Transport
    _sent: int = 0
    """The last revision that was handed to the broker."""
    _confirmed: int = 0
    _flying: deque[int] = field(default_factory=deque)
    """Those that are not confirmed yet, in order."""
    _done: set[int] = field(default_factory=set)
    """Those of them that are confirmed, but not all before them."""
    _run: int = 0
    """Counts the times that it began again; outcomes of an earlier run are of no use."""
    _is_keeping: bool = False
    _is_resting: bool = False

    def start(self) -> None:
        """Go on from where it stopped, now and with everything that is applied from now on."""
        self._confirmed = min(self.ledger.published, self.ledger.state.revision)
        self._sent = self._confirmed
        self.ledger.on_applied(lambda _: self._go_on())
        self.ledger.on_installed(self._installed)
        self.transport.on_status(self._status)
        self._go_on()

    @property
    def behind(self) -> int:
        """How many revisions are applied here and not confirmed by the broker."""
        return self.ledger.state.revision - self._confirmed

    def _status(self, status: Status) -> None:
        if status.flow is Flow.UP:
            self._begin_again()

    def _installed(self) -> None:
        """What a snapshot jumped over is nowhere to be had: followers ask for it by `sync`."""
        self._confirmed = max(self._confirmed, self.ledger.feed_from)
        self._begin_again()

    def _begin_again(self) -> None:
        self._run += 1
        self._sent = self._confirmed
        self._flying.clear()
        self._done.clear()
        self._go_on()

    def _go_on(self) -> None:
        """Hand over what is next, as far as the broker follows."""
        if self.transport.status.flow is not Flow.UP or self._is_resting:
            return
        self._sent = max(self._sent, self.ledger.feed_from)
        room = IN_FLIGHT - len(self._flying)
        if room <= 0 or self._sent >= self.ledger.state.revision:
            return
        for update in self.ledger.updates(self._sent, room):
            self._sent = update.revision
            self._flying.append(update.revision)
            done = partial(self._told, self._run, update.revision)
            sender, name = (
                Sender(self.transport, self.ledger.node),
                f"{update.epoch}.{update.revision}",
            )
            sender.publish(UPDATES, update_key(update.change), update, done, id=name)

    def _told(self, run: int, revision: int, outcome: Outcome) -> None:
        if run != self._run:
            return
        if outcome is not Outcome.CONFIRMED:
            _LOG.warning("update %d was not taken by the broker (%s)", revision, outcome)
            # nothing is handed over for a moment; then all that is not confirmed, in order.
            self._run += 1
            if not self._is_resting:
                self._is_resting = True
                self.transport.later(AGAIN, self._rested)
            return
        self._done.add(revision)
        while self._flying and self._flying[0] in self._done:
            self._confirmed = self._flying.popleft()
            self._done.discard(self._confirmed)
        if not self._is_keeping:
            self._is_keeping = True
            self.transport.later(KEEP_EVERY, self._keep)
        self._go_on()

    def _rested(self) -> None:
        self._is_resting = False
        self._begin_again()

    def _keep(self) -> None:
        self._is_keeping = False
        if self._confirmed > self.ledger.published:
            self.ledger.keep_published(self._confirmed)
