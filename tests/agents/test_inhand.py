"""No message is given again to a program that it killed, and none is set aside without cause."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nm_agents.inhand import DEATHS, LOSSES, MOST_SUSPECTS, SLOW, InHand
from nm_bus.codec import Reason, Rejected
from nm_bus.errors import StorageError
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
        self.fatal = FATAL
        self.handled: list[bytes] = []
        self.refused: list[Rejected] = []

    def live(self, *deliveries: Delivery) -> None:
        with InHand(self.path) as in_hand:
            take = in_hand.over(self._handle, self._refuse)
            for each in deliveries:
                take(each)

    def _handle(self, delivery: Delivery) -> None:
        if delivery.body == self.fatal:
            raise RuntimeError("a fault of ours")
        self.handled.append(delivery.body)

    def _refuse(self, _: Delivery, rejected: Rejected) -> None:
        self.refused.append(rejected)


class StoringLife(Life):
    """A life of a program that stores later what it handled, and fails while it stores."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.stored: list[bytes] = []
        self._waiting: list[bytes] = []

    def live(self, *deliveries: Delivery, lived: bool = False) -> None:
        self._waiting = []
        with InHand(self.path) as in_hand:
            take = in_hand.over(lambda d: self._waiting.append(d.body), self._refuse, self.store)
            for each in deliveries:
                take(each)
            if lived:
                in_hand.lived()
            self.store()
            in_hand.settled()

    def store(self) -> None:
        if self.fatal in self._waiting:
            raise RuntimeError("a fault of ours")
        self.stored += self._waiting
        self._waiting.clear()


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


def test_a_disk_that_takes_nothing_more_is_no_obstacle_to_handling(life: Life) -> None:
    with pytest.raises(RuntimeError):
        life.live(delivery())
    life.fatal = b"none"
    life.path.with_suffix(".new").mkdir()
    life.live(delivery(), delivery(b"next"))
    assert life.handled == [FATAL, b"next"]


def test_a_marker_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        InHand(tmp_path / "absent" / "marker").__enter__()


def test_only_so_many_suspects_are_remembered(life: Life) -> None:
    for number in range(MOST_SUSPECTS + 5):
        life.path.write_bytes(number.to_bytes(15, "big") + b"x")
        life.live()
    with InHand(life.path) as in_hand:
        assert len(in_hand.suspects) == MOST_SUSPECTS


def test_what_was_handled_after_a_death_is_no_suspect_any_more(life: Life) -> None:
    for _ in range(DEATHS + 1):
        life.fatal = FATAL
        with pytest.raises(RuntimeError):
            life.live(delivery())
        life.fatal = b"none"
        life.live(delivery())
    assert life.handled == [FATAL] * (DEATHS + 1)
    assert life.refused == []


def test_what_kills_only_when_it_is_stored_is_found_among_many_and_refused(tmp_path: Path) -> None:
    life = StoringLife(tmp_path / "marker")
    many = [delivery(body) for body in (b"one", FATAL, b"two")]
    for _ in range(2 * DEATHS):
        with pytest.raises(RuntimeError):
            life.live(*many)
        assert life.refused == []
        many = [each for each in many if each.body not in life.stored]
    life.live(*many)
    assert [rejected.reason for rejected in life.refused] == [Reason.KILLED]
    assert sorted(life.stored) == [b"one", b"two"]


def test_who_lives_for_long_is_not_taken_for_killed_by_what_it_had(tmp_path: Path) -> None:
    life = StoringLife(tmp_path / "marker")
    for _ in range(DEATHS):
        with pytest.raises(RuntimeError):
            life.live(delivery(), lived=True)
    with InHand(life.path) as in_hand:
        assert set(in_hand.suspects.values()) == {1}


def test_an_end_in_good_order_leaves_no_doubt(tmp_path: Path) -> None:
    life = StoringLife(tmp_path / "marker")
    for _ in range(DEATHS):
        life.live(delivery(b"one"))
    with InHand(life.path) as in_hand:
        assert in_hand.suspects == {}


class Connected:
    """A life with a connection that ends again and again; each message may take its time."""

    def __init__(self, in_hand: InHand, durations: dict[bytes, float]) -> None:
        self.in_hand, self.durations = in_hand, durations
        self.now = 0.0
        self.refused: list[bytes] = []
        in_hand.clock = lambda: self.now
        self.take = in_hand.over(self._handle, lambda each, _: self.refused.append(each.body))

    def _handle(self, delivery: Delivery) -> None:
        self.now += self.durations.get(delivery.body, 0.0)

    def lose(self, *bodies: bytes) -> None:
        for body in bodies:
            self.take(delivery(body))
        self.in_hand.lost()


def test_what_is_always_the_last_before_the_connection_is_lost_is_refused(tmp_path: Path) -> None:
    with InHand(tmp_path / "marker") as in_hand:
        life = Connected(in_hand, {})
        for number in range(LOSSES):
            life.lose(b"%d" % number, FATAL)
            in_hand.lost()
        assert life.refused == []
        life.lose(b"other", FATAL)
        assert life.refused == [FATAL]


def test_what_takes_long_is_suspected_before_what_came_after_it(tmp_path: Path) -> None:
    with InHand(tmp_path / "marker") as in_hand:
        life = Connected(in_hand, {FATAL: 2 * SLOW})
        for _ in range(LOSSES + 1):
            life.lose(FATAL, b"next")
        assert life.refused == [FATAL]


def test_connections_lost_with_ever_other_messages_make_nobody_a_suspect(tmp_path: Path) -> None:
    with InHand(tmp_path / "marker") as in_hand:
        life = Connected(in_hand, {})
        for number in range(3 * LOSSES):
            life.lose(b"%d" % (number % 2))
        assert in_hand.suspects == {}
