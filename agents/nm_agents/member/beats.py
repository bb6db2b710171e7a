"""Heartbeats: one each interval, one at news, and the last one of a life.

Each is made when it can be sent, so a stale one never waits for a broker.
"""

from collections.abc import Callable
from functools import partial

from nm_agents.host.sender import Sender
from nm_agents.member.outbox import MetricsOutbox
from nm_bus.core.agent import Agent, Pulse
from nm_bus.messages import Heartbeat, Seconds, domain_key
from nm_bus.topology import HEARTBEAT
from nm_bus.transport.base import Flow, Outcome, Published


class Beats:
    """Sends an agent's heartbeats, which report how many messages wait in its outbox."""

    def __init__(self, agent: Agent, sender: Sender, outbox: MetricsOutbox) -> None:
        self._agent, self._sender, self._outbox = agent, sender, outbox
        self._transport = sender.transport
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
        heartbeat = self._agent.heartbeat(now, spooled=self._outbox.waiting)
        self._send(heartbeat, partial(self._ended, now))

    def _send(self, heartbeat: Heartbeat, done: Published) -> None:
        self._sender.publish(HEARTBEAT, domain_key(self._sender.source), heartbeat, done)

    def goodbye(self, said: Callable[[], None]) -> None:
        """Send the last heartbeat; `said` is called once it is confirmed or lost."""
        self._last_one = True
        now, waiting = self._transport.now(), self._outbox.waiting
        last = self._agent.heartbeat(now, spooled=waiting, leaving=True)
        self._send(last, lambda _: said())

    def _each_interval(self) -> None:
        self._transport.later(self._agent.interval, self._each_interval)
        self.news()

    def _ended(self, sent: Seconds, outcome: Outcome) -> None:
        if outcome is Outcome.CONFIRMED:
            self.confirmed = self._transport.now()
        self._pulse.settled(sent)
        self.go()
