"""Who waits for an answer of a supernode: a client, or a supernode that relays for one."""

from collections.abc import Callable
from typing import Protocol

from nm_bus.messages import Answer, NodeId


class Asker(Protocol):
    """One request's asker. Exactly one answer is given, now or later."""

    @property
    def user(self) -> NodeId:
        """The principal, for whom the broker vouches; or the supernode that relays."""

    @property
    def role(self) -> str:
        """By which role the broker let it in."""

    @property
    def request(self) -> str:
        """The request's id, which the answer repeats."""

    def reply(self, data: object) -> None:
        """Answer, in turn with others."""

    def refuse(self, code: str, error: str) -> None:
        """Answer with a refusal, at once: a code and one sentence."""

    def give(self, make: Callable[[], Answer]) -> None:
        """Answer with what is made when its turn comes: for answers that are large."""
