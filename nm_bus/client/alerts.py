"""Alerts from every supernode's queue, each transition once, whatever queues it comes through."""

from collections import OrderedDict
from collections.abc import Generator

from nm_bus import codec
from nm_bus.client.following import Followed, Quiet, Received
from nm_bus.messages import Alert
from nm_bus.topology import PEER_BYTES

REMEMBERED = 10_000
"""How many transitions are known to have been given; as many as a queue holds."""


def each_once(followed: Generator[Followed, None, None]) -> Generator[Alert | Quiet, None, None]:
    """Give every alert, and Quiet when nothing comes for a moment.

    An alert leaves its queue once the next item is asked for: who ends before hears it again.
    """
    given: OrderedDict[str, None] = OrderedDict()
    try:
        for item in followed:
            if isinstance(item, Received):
                yield from _new(item, given)
                item.ack()
            elif isinstance(item, Quiet):
                yield item
    finally:
        followed.close()


def _new(received: Received, given: "OrderedDict[str, None]") -> Generator[Alert, None, None]:
    event = codec.decode(received.body, limit=PEER_BYTES)
    if isinstance(event, codec.Rejected) or not isinstance(event.data, Alert):
        return
    if event.data.transition in given:
        return
    yield event.data
    given[event.data.transition] = None
    while len(given) > REMEMBERED:
        given.popitem(last=False)
