"""When a delivery is acknowledged. A refused one never is before it is safe elsewhere."""

from dataclasses import dataclass
from typing import Protocol

from nm_bus.transport.base import Delivery, Transport


class Settling(Protocol):
    """The rule of one queue; each delivery goes through `came`, then `done` or `hold`."""

    def came(self, delivery: Delivery) -> None:
        """A delivery came."""

    def done(self, delivery: Delivery) -> None:
        """It was handled."""

    def hold(self, delivery: Delivery) -> None:
        """It was refused, and is on its way to where refused ones go."""

    def release(self, delivery: Delivery, kept: bool) -> None:
        """`kept`: it is in quarantine, so acknowledge it; else give it back to its queue."""


@dataclass(frozen=True, slots=True)
class EachAcked:
    """Every delivery is acknowledged once it was handled."""

    transport: Transport

    def came(self, delivery: Delivery) -> None:
        """Nothing yet."""

    def done(self, delivery: Delivery) -> None:
        """Acknowledge it."""
        self.transport.ack(delivery)

    def hold(self, delivery: Delivery) -> None:
        """It is not acknowledged yet; the others are not held up."""

    def release(self, delivery: Delivery, kept: bool) -> None:
        """Acknowledge it, or give it back to its queue."""
        if kept:
            self.transport.ack(delivery)
        else:
            self.transport.reject(delivery, requeue=True)


@dataclass(frozen=True, slots=True)
class AckedFirst:
    """Every delivery is acknowledged before it is handled: what ends the program does not come
    again, and what is lost by that is asked for again."""

    transport: Transport

    def came(self, delivery: Delivery) -> None:
        """Acknowledge it."""
        self.transport.ack(delivery)

    def done(self, delivery: Delivery) -> None:
        """Nothing more."""

    def hold(self, delivery: Delivery) -> None:
        """Nothing more."""

    def release(self, delivery: Delivery, kept: bool) -> None:
        """Nothing more."""
