"""A queue that serves principals in turn: many requests of one principal delay only its own.

Pure; each principal's own order is kept.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Turns(Generic[T]):
    """What waits, bounded in all and for each principal; one that is too many is not taken."""

    most: int
    most_of_one: int
    _waiting: OrderedDict[str, deque[T]] = field(default_factory=OrderedDict)
    _count: int = 0

    def __len__(self) -> int:
        """How much waits."""
        return self._count

    def __contains__(self, who: object) -> bool:
        """Whether anything of a principal waits."""
        return who in self._waiting

    def push(self, who: str, what: T) -> bool:
        """Let something wait; gives whether there was room for it."""
        own = self._waiting.get(who, ())
        if self._count >= self.most or len(own) >= self.most_of_one:
            return False
        self._waiting.setdefault(who, deque()).append(what)
        self._count += 1
        return True

    def put_back(self, who: str, what: T) -> None:
        """Let what was popped wait again: the first of its principal, after all others' turn."""
        own = self._waiting.pop(who, None) or deque()
        own.appendleft(what)
        self._waiting[who] = own
        self._count += 1

    def pop(self) -> tuple[str, T]:
        """The next one, of whoever waits longest for a turn. Raises KeyError when none waits."""
        who, own = self._waiting.popitem(last=False)
        what = own.popleft()
        self._count -= 1
        if own:
            self._waiting[who] = own
        return who, what
