"""No message is given again to a program that it killed, and none is set aside without cause."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nm_agents.inhand import DEATHS, MOST_SUSPECTS, InHand
from nm_bus.codec import Reason, Rejected
from nm_bus.transport.base import Delivery

FATAL = b"fatal"


def delivery(
    body: bytes = FATAL, *, again: bool = True, queue: str = "requests.member"
) -> Delivery:
    return Delivery(body, "requests", "member.query", "n1", queue, 1, 1, again)


class Life:
    """A life of a program that fails on one message; what it handled and what it refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handled: list[bytes] = []
        self.refused: list[Rejected] = []

    def live(self, *deliveries: Delivery) -> None:
        with InHand(self.path) as in_hand:
            take = in_hand.over(self._handle, lambda _, rejected: self.refused.append(rejected))
            for each in deliveries:
                take(each)

    def _handle(self, delivery: Delivery) -> None:
        if delivery.body == FATAL:
            raise RuntimeError("a fault of ours")
        self.handled.append(delivery.body)


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path / "marker")


def test_what_was_in_hand_at_two_deaths_is_refused_and_the_others_are_handled(life: Life) -> None:
    for again in (False, True):
        with pytest.raises(RuntimeError):
            life.live(delivery(again=again))
    life.live(delivery(), delivery(b"next"))
    assert [rejected.reason for rejected in life.refused] == [Reason.KILLED]
    assert life.handled == [b"next"]
    assert DEATHS == 2


def test_a_new_message_of_the_same_words_is_handled_like_any_other(life: Life) -> None:
    for _ in range(DEATHS):
        with pytest.raises(RuntimeError):
            life.live(delivery())
    with pytest.raises(RuntimeError):
        life.live(delivery(again=False))
    with pytest.raises(RuntimeError):
        life.live(delivery(queue="requests.administrator"))


def test_an_end_between_two_messages_makes_nobody_a_suspect(life: Life) -> None:
    life.live(delivery(b"one"), delivery(b"two"))
    with InHand(life.path) as in_hand:
        assert in_hand.suspects == {}


def test_a_process_killed_with_a_message_in_hand_knows_it_at_its_next_start(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from nm_agents.inhand import InHand
from nm_bus.transport.base import Delivery
with InHand(Path({str(tmp_path / "marker")!r})) as in_hand:
    take = in_hand.over(lambda _: os.kill(os.getpid(), signal.SIGKILL), lambda *_: None)
    take(Delivery({FATAL!r}, "requests", "k", "n1", "requests.member", 1, 1, True))
"""
    for _ in range(DEATHS):
        ended = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
        assert ended.returncode == -signal.SIGKILL
    ended = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert ended.returncode == 0


@pytest.mark.parametrize("body", [b"", b"short", b"\xff" * 100])
def test_a_marker_of_another_form_is_no_obstacle(life: Life, body: bytes) -> None:
    life.path.write_bytes(body)
    life.path.with_suffix(".suspects").write_bytes(body)
    life.live(delivery(b"one"))
    assert life.handled == [b"one"]
    assert life.path.stat().st_size == 16


def test_only_so_many_suspects_are_remembered(life: Life) -> None:
    for number in range(MOST_SUSPECTS + 5):
        life.path.write_bytes(number.to_bytes(15, "big") + b"x")
        life.live()
    with InHand(life.path) as in_hand:
        assert len(in_hand.suspects) == MOST_SUSPECTS
