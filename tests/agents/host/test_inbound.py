"""The mark around everything that is read: what ended a program is found, whatever came between."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from nm_agents.host.inbound import Channel, EachAcked, Inbound
from nm_agents.host.sender import Sender
from nm_agents.inhand import _OWED, DEATHS, SIZE, InHand
from nm_agents.quarantine import Kept
from nm_agents.supernode import requests
from nm_agents.supernode.requests import RequestChannel
from nm_bus.codec import Decoded, Rejected
from nm_bus.identity.role import Role
from nm_bus.messages import Seconds
from nm_bus.transport.base import REPLY_PREFIX, Consume, Delivery, Transport


@dataclass
class Queues:
    """A transport that hands over what a test puts into its queues."""

    handlers: dict[str, Consume] = field(default_factory=dict)

    def consume(self, queue: str, handler: Consume, *, prefetch: int) -> None:
        self.handlers[queue] = handler

    def now(self) -> Seconds:
        return 1.0

    def ack(self, _delivery: Delivery) -> None: ...

    def publish(self, _message: object, _done: object = None) -> None: ...

    def come(self, queue: str, body: bytes, *, again: bool = False, reply_to: str = "") -> None:
        self.handlers[queue](Delivery(body, "x", "k", "n1", queue, 1, 1, again, reply_to=reply_to))


def put_aside(into: list[Rejected]) -> Callable[[Delivery, Rejected, Kept], None]:
    return lambda _delivery, rejected, _kept: into.append(rejected)


def owing(hand: InHand) -> Queues:
    """A program that stores later what came by one queue, and watches another one."""
    queues = Queues()
    transport = cast(Transport, queues)
    inbound, settling = Inbound(transport, put_aside([]), hand), EachAcked(transport)
    inbound.listen(Channel("metrics.0", lambda *_: {}, settling, owed=lambda: None))
    thrown = Channel("thrown.0", lambda *_: {}, settling, owed=lambda: None)
    inbound.watch(thrown, lambda _delivery: None)
    return queues


def test_what_is_owed_is_marked_though_something_else_came_since(tmp_path: Path) -> None:
    def live(*, again: bool) -> None:
        with InHand(tmp_path / "marker") as hand:
            queues = owing(hand)
            queues.come("metrics.0", b"{}", again=again)
            queues.come("thrown.0", b"x")
            assert hand._file is not None
            assert hand._file[:SIZE] == _OWED
            raise RuntimeError("a fault while it is stored")

    for life in range(DEATHS):
        with pytest.raises(RuntimeError):
            live(again=life > 0)
    with InHand(tmp_path / "marker") as hand:
        assert hand.suspects[_OWED] == DEATHS


def test_a_request_that_ends_the_program_is_put_aside_without_being_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fatal(_read: object) -> Decoded:
        raise SystemError("reading it ends the program")

    monkeypatch.setattr(requests, "id_of", fatal)
    aside: list[Rejected] = []
    for life in range(DEATHS + 1):
        queues = Queues()
        transport = cast(Transport, queues)
        try:
            with InHand(tmp_path / "marker") as hand:
                inbound = Inbound(transport, put_aside(aside), hand)
                asked = RequestChannel(transport, Sender(transport, "sn1", "life"), {}, {})
                channel = replace(asked.channel(Role.MEMBER), read=fatal)
                inbound.listen(channel)
                reply_to = f"{REPLY_PREFIX}.x"
                queues.come(channel.queue, b"fatal", again=life > 0, reply_to=reply_to)
        except SystemError:
            assert life < DEATHS
    assert len(aside) == 1
