"""Acknowledging many deliveries at once, but never one that quarantine has not confirmed yet."""

from dataclasses import dataclass, field, replace

from nm_bus.transport.base import Delivery, Transport


@dataclass(slots=True)
class Acks:
    """The deliveries of one queue, in their order. A new connection starts anew by itself."""

    transport: Transport
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

    def release(self, delivery: Delivery, *, again: bool) -> None:
        """It may be acknowledged now; `again`: it is given back to be read again."""
        if self.last is None or delivery.epoch != self.last.epoch:
            return
        self._held.discard(delivery.tag)
        if again:
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
