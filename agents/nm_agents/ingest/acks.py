"""Acknowledging many deliveries at once, but never one that quarantine has not confirmed yet."""

from dataclasses import dataclass, field, replace

from nm_bus.transport.base import Delivery, Transport


@dataclass(slots=True)
class Acks:
    """The deliveries of one queue, in their order. A new connection starts from nothing by itself.

    After `at_once` deliveries they are acknowledged without being asked for.
    """

    transport: Transport
    at_once: int | None = None
    last: Delivery | None = None
    count: int = 0
    """Deliveries since the last acknowledgement."""
    _acked: int = 0
    _held: set[int] = field(default_factory=set)

    def came(self, delivery: Delivery) -> None:
        """A delivery came; it is acknowledged by a later flush."""
        if self.last is None or delivery.epoch != self.last.epoch:
            self._held, self._acked, self.count = set(), 0, 0
        self.last = delivery
        self.count += 1

    def hold(self, delivery: Delivery) -> None:
        """Nothing from this delivery on may be acknowledged until it is released."""
        self._held.add(delivery.tag)

    def done(self, delivery: Delivery) -> None:
        """It was handled."""
        if self.at_once is not None and self.count >= self.at_once:
            self.flush()

    def release(self, delivery: Delivery, kept: bool) -> None:
        """It may be acknowledged now; what was not `kept` is given back to be read again."""
        if self.last is None or delivery.epoch != self.last.epoch:
            return
        self._held.discard(delivery.tag)
        if not kept:
            self.transport.reject(delivery, requeue=True)

    def flush(self, upto: Delivery | None = None) -> None:
        """Acknowledge everything that came, or came before and with `upto`."""
        target = upto or self.last
        if target is None or self.last is None or target.epoch != self.last.epoch:
            return
        tag = min([target.tag, *(held - 1 for held in self._held)])
        if tag > self._acked:
            self.transport.ack(replace(target, tag=tag), multiple=True)
            self.count = max(0, self.count - (tag - self._acked))
            self._acked = tag
