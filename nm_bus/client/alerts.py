"""Alerts from every supernode's queue, each transition once, whatever queues it comes through."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from nm_bus import codec
from nm_bus.client.asking import Said
from nm_bus.client.carrier import Contact, Quiet, Received
from nm_bus.client.following import QUIET, QueueFollowing
from nm_bus.messages import Alert, Seconds
from nm_bus.topology import PEER_BYTES

REMEMBERED = 10_000
"""How many transitions are known to have been given: as many as an alert queue holds, so a
supernode that comes back cannot repeat more than that."""


class AlertMemory(Protocol):
    """Which transitions were given already."""

    def __contains__(self, transition: str, /) -> bool: ...

    def add(self, transition: str, /) -> None:
        """Remember it; only then may the message leave its queue."""

    def close(self) -> None:
        """Nothing more is to be remembered."""


class Recent:
    """An AlertMemory that lasts as long as the program."""

    def __init__(self) -> None:
        self._given: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, transition: str) -> bool:
        return transition in self._given

    def add(self, transition: str) -> None:
        """The oldest of too many is forgotten."""
        self._given[transition] = None
        while len(self._given) > REMEMBERED:
            self._given.popitem(last=False)

    def close(self) -> None:
        """Nothing is open."""


AlertItem = Alert | Contact | Quiet


class AlertFeed(Iterator[AlertItem]):
    """Gives each alert once, a Contact when a supernode is followed or lost, Quiet when none came.

    An alert is remembered, and leaves its queue, once the next item is asked for or `taken` is
    called: who ends before that is given it again. One thread at a time may use it; close it, or
    use it by `with`.
    """

    def __init__(self, following: QueueFollowing, memory: AlertMemory, said: Said) -> None:
        self._following, self._memory, self._said = following, memory, said
        self._given: tuple[Alert, Received] | None = None

    def __iter__(self) -> "AlertFeed":
        return self

    def __next__(self) -> AlertItem:
        return self.step(QUIET) or Quiet()

    def __enter__(self) -> "AlertFeed":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the supernodes."""
        self._following.close()
        self._memory.close()

    def taken(self) -> None:
        """The alert that was given last is done with."""
        if self._given is not None:
            alert, received = self._given
            self._given = None
            self._memory.add(alert.transition)
            received.ack()

    def step(self, wait: Seconds) -> AlertItem | None:
        """The next item, if one comes within `wait` seconds."""
        self.taken()
        while (item := self._following.step(wait)) is not None:
            if not isinstance(item, Received):
                return item
            alert = self._new(item)
            if alert is not None:
                self._given = alert, item
                return alert
            item.ack()
        return None

    def sockets(self) -> list[int]:
        """What becomes readable when there may be something."""
        return self._following.sockets()

    def _new(self, received: Received) -> Alert | None:
        event = codec.decode(received.body, limit=PEER_BYTES)
        if isinstance(event, codec.Rejected):
            self._said(f"an unreadable alert from {received.supernode}: {event.detail}")
            return None
        alert = event.data
        return alert if isinstance(alert, Alert) and alert.transition not in self._memory else None
