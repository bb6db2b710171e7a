"""A canary through the supernode's own broker: who does not hear itself calls nobody silent."""

from dataclasses import dataclass

from nm_agents.host.inbound import Routes
from nm_agents.host.sender import Sender
from nm_agents.supernode.part import Part
from nm_bus.core.pipe import Pipe
from nm_bus.messages import Canary, Event, Seconds
from nm_bus.topology import REPORTS
from nm_bus.transport.base import Delivery, Transport


@dataclass(slots=True)
class LoopbackPart(Part):
    """Sends a canary every `interval` seconds; `pipe` knows when they come back."""

    transport: Transport
    sender: Sender
    pipe: Pipe
    interval: Seconds
    _sent: int = 0

    def from_own(self) -> Routes:
        """Its canaries."""
        return {Canary: self._returned}

    def start(self) -> None:
        """Send one, now and then."""
        self._send()

    def _send(self) -> None:
        self._sent += 1
        canary = Canary(REPORTS, self.sender.life, self._sent, self.transport.now())
        self.sender.publish("", REPORTS, canary, expiration=self.pipe.limit)
        self.transport.later(self.interval, self._send)

    def _returned(self, event: Event[Canary], _delivery: Delivery, now: Seconds) -> None:
        if event.data.incarnation == self.sender.life:
            self.pipe.heard(event.data.sent, now)
