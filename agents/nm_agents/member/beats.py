"""Heartbeats: one each interval, one at news, and the last one of a life.

Each is made when it can be sent, so a stale one never waits for a broker.
"""

from collections.abc import Callable
from functools import partial

from nm_bus.core.agent import Agent, Pulse
from nm_bus.messages import Heartbeat, Seconds
from nm_bus.transport.base import Flow, Outcome, Published, Transport

Send = Callable[[Heartbeat, Published], None]


class Beats:
    """Sends an agent's heartbeats. `waiting` tells how many messages wait on disk."""

    def __init__(
        self, agent: Agent, transport: Transport, send: Send, waiting: Callable[[], int]
    ) -> None:
        self._agent, self._transport = agent, transport
        self._send, self._waiting = send, waiting
        self._pulse = Pulse(agent.interval)
        self._last_one = False
        self.confirmed: Seconds | None = None

    def begin(self, chance: float) -> None:
        """Start somewhere within the first interval, where chance says: hosts start together."""
        self._transport.later(chance * self._agent.interval, self._each_interval)

    def news(self) -> None:
        """Something is to be told before the next heartbeat is due."""
        self._pulse.due()
        self.go()

    def go(self) -> None:
        """Send a heartbeat if one is owed and may go."""
        now, up = self._transport.now(), self._transport.status.flow is Flow.UP
        if self._last_one or not self._pulse.may_go(up, now):
            return
        self._pulse.went(now)
        heartbeat = self._agent.heartbeat(now, spooled=self._waiting())
        self._send(heartbeat, partial(self._ended, now))

    def goodbye(self, said: Callable[[], None]) -> None:
        """Send the last heartbeat; `said` is called once it is confirmed or lost."""
        self._last_one = True
        last = self._agent.heartbeat(self._transport.now(), spooled=self._waiting(), leaving=True)
        self._send(last, lambda _: said())

    def _each_interval(self) -> None:
        self._transport.later(self._agent.interval, self._each_interval)
        self.news()

    def _ended(self, sent: Seconds, outcome: Outcome) -> None:
        if outcome is Outcome.CONFIRMED:
            self.confirmed = self._transport.now()
        self._pulse.settled(sent)
        self.go()
