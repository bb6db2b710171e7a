"""`python -m nm_lab.bench.simulate CROWD`: a process that stands for many members.

Each member has its own moment within the interval, as real ones have. What could not be published
is not repeated, and counted; the count is printed at the end.
"""

import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import msgspec

from nm_agents.connecting import connect
from nm_bus.messages import Seconds
from nm_bus.settings import SupernodeSettings, Tls, load
from nm_bus.transport.base import Flow, Outcome, Outgoing, Status, Transport
from nm_lab.bench.traffic import INTERVAL, SimulatedMember, members

STEP: Seconds = 0.02
"""How often to look who is due."""

SAMPLES_EACH = 6
"""Heartbeats between two messages of metrics: 30 s."""


class MemberCrowd(msgspec.Struct, frozen=True):
    """Who is simulated: so many members, by the user that may speak for them."""

    file: str
    user: str
    ca: str
    certificate: str
    key: str
    count: int


class PublishedCount(msgspec.Struct):
    """How many messages the broker took, and how many it did not."""

    confirmed: int = 0
    lost: int = 0


@dataclass(slots=True)
class Simulation:
    """Publishes what is due; begins when the transport is up."""

    transport: Transport
    crowd: list[SimulatedMember]
    published: PublishedCount = field(default_factory=PublishedCount)
    _turn: int = 0
    _began: Seconds | None = None
    _ended: bool = False

    def status(self, status: Status) -> None:
        """Begin once."""
        if status.flow is Flow.UP and self._began is None:
            self._began = self.transport.now()
            self._step()

    def stop(self) -> None:
        """Say no more, and end when the broker has confirmed what was said."""
        self._ended = True
        self.transport.stop()

    def _step(self) -> None:
        assert self._began is not None
        if self._ended:
            return
        now = self.transport.now()
        due = int((now - self._began) / INTERVAL * len(self.crowd))
        while self._turn < due:
            rounds, n = divmod(self._turn, len(self.crowd))
            member = self.crowd[n]
            self._publish(member.heartbeat(now))
            if (rounds + n) % SAMPLES_EACH == 0:
                self._publish(member.metrics(now))
            self._turn += 1
        self.transport.later(STEP, self._step)

    def _publish(self, message: Outgoing) -> None:
        self.transport.publish(message, self._told)

    def _told(self, outcome: Outcome) -> None:
        if outcome is Outcome.CONFIRMED:
            self.published.confirmed += 1
        else:
            self.published.lost += 1


def main() -> None:
    """Simulate the crowd that the only argument holds as JSON, until SIGTERM."""
    crowd = msgspec.json.decode(sys.argv[1], type=MemberCrowd)
    tls = Tls(*map(Path, (crowd.ca, crowd.certificate, crowd.key)))
    settings = msgspec.structs.replace(
        load(Path(crowd.file), SupernodeSettings), node=crowd.user, tls=tls
    )
    name = f"{crowd.count} simulated members"
    transport = connect(settings, name, settings.broker, separate=False)
    simulation = Simulation(transport, members(crowd.count))
    transport.on_status(simulation.status)

    def told(_signal: int, _frame: FrameType | None) -> None:
        transport.call_threadsafe(simulation.stop)

    signal.signal(signal.SIGTERM, told)
    transport.run()
    print(msgspec.json.encode(simulation.published).decode())


if __name__ == "__main__":
    main()
