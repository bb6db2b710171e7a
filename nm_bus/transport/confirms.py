"""Publications that wait for the broker's word: each gets one outcome, or runs out of time.

Pure: time comes in as an argument, and the owner makes the calls that are given back.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nm_bus.messages import Seconds
from nm_bus.transport.base import Outcome, Outgoing, Published

Told = tuple[Published, Outcome]


@dataclass(slots=True)
class Unconfirmed:
    """A publication without an outcome yet."""

    message: Outgoing
    deadline: Seconds
    done: Published


class Confirms:
    """What waits, by delivery tag, the oldest first (all wait equally long)."""

    def __init__(self) -> None:
        self._waiting: dict[int, Unconfirmed] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, tag: int, waiting: Unconfirmed) -> None:
        """Wait for `tag`, which is greater than every tag before it."""
        self._waiting[tag] = waiting

    def settle(self, tag: int, outcome: Outcome, *, multiple: bool) -> list[Told]:
        """Take the broker's word on `tag`; `multiple`: and on all before it."""
        tags = list(self._until(tag)) if multiple else [tag]
        found = [self._waiting.pop(t, None) for t in tags]
        return [(waiting.done, outcome) for waiting in found if waiting is not None]

    def _until(self, tag: int) -> Iterator[int]:
        for waiting in self._waiting:
            if waiting > tag:
                return
            yield waiting

    def expire(self, now: Seconds) -> list[Told]:
        """Give up what has waited until `now`."""
        late = []
        for tag, waiting in self._waiting.items():
            if waiting.deadline > now:
                break
            late.append(tag)
        return [(self._waiting.pop(tag).done, Outcome.TIMED_OUT) for tag in late]

    def next_deadline(self) -> Seconds | None:
        """When the oldest runs out of time, or None when nothing waits."""
        return next((waiting.deadline for waiting in self._waiting.values()), None)

    def lose(self, refusal: str = "") -> list[Told]:
        """Give up all: the channel is gone. The one that the broker's `refusal` names is refused.

        The broker says which exchange, key, user or size it refuses, but not which publication.
        """
        lost, self._waiting = list(self._waiting.values()), {}
        alone = len(lost) == 1
        guilty = next((w for w in lost if refusal and (alone or names(refusal, w.message))), None)
        return [(w.done, Outcome.REFUSED if w is guilty else Outcome.LOST) for w in lost]


_SIZE = re.compile(r"message size (\d+)")
_TOPIC = re.compile(r"topic '([^']*)' in exchange '([^']*)'")
_EXCHANGE = re.compile(r"exchange '([^']*)'")
_USER = re.compile(r"user_id property set to '([^']*)'")


def names(refusal: str, message: Outgoing) -> bool:
    """Tell whether the text with which RabbitMQ closed a channel is about this message."""
    if found := _SIZE.search(refusal):
        return len(message.body) == int(found[1])
    if found := _USER.search(refusal):
        return message.user_id == found[1]
    if found := _TOPIC.search(refusal):
        return (message.key, message.exchange) == (found[1], found[2])
    if found := _EXCHANGE.search(refusal):
        return message.exchange in (found[1], "" if found[1] == "amq.default" else found[1])
    return False
