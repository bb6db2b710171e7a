"""No message is given again to a program that it killed, and none is set aside without cause."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nm_agents.inhand import BYTES, DEATHS, GROUPS, LOSSES, MOST_SUSPECTS, SIZE, SLOW, InHand
from nm_bus.codec import Reason, Rejected
from nm_bus.errors import StorageError
from nm_bus.transport.base import Delivery

FATAL = b"fatal"


def delivery(
    body: bytes = FATAL, *, again: bool = True, queue: str = "requests.member"
) -> Delivery:
    return Delivery(body, "requests.member", "query", "n1", queue, 1, 1, again)


class Life:
    """A life of a program that fails on one message; what it handled and what it refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fatal = FATAL
        self.handled: list[bytes] = []
        self.refused: list[Rejected] = []

    def live(self, *deliveries: Delivery) -> None:
        with InHand(self.path) as in_hand:
            take = in_hand.over(self._handle, self.refuse)
            for each in deliveries:
                take(each)

    def _handle(self, delivery: Delivery) -> None:
        if delivery.body == self.fatal:
            raise RuntimeError("a fault of ours")
        self.handled.append(delivery.body)

    def refuse(self, _: Delivery, rejected: Rejected) -> None:
        self.refused.append(rejected)


class StoringLife(Life):
    """A life of a program that stores later what it handled, and fails while it stores."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.stored: list[bytes] = []
        self.settlings = 0
        self._waiting: list[bytes] = []

    def live(self, *deliveries: Delivery, lived: bool = False) -> None:
        self._waiting, self.settlings = [], 0
        with InHand(self.path) as in_hand:
            take = in_hand.over(lambda d: self._waiting.append(d.body), self.refuse, self.settle)
            for each in deliveries:
                take(each)
            if lived:
                in_hand.lived()
            self.store()

    def settle(self) -> None:
        self.settlings += 1
        self.store()

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
    life.live(delivery(b"one"))
    assert life.handled == [b"one"]
    assert life.path.stat().st_size == BYTES


def test_what_it_knows_needs_no_room_on_the_disk(life: Life) -> None:
    life.live()
    before = set(life.path.parent.iterdir())
    with pytest.raises(RuntimeError):
        life.live(delivery())
    with InHand(life.path) as in_hand:
        assert list(in_hand.suspects.values()) == [1]
    assert life.path.stat().st_size == BYTES
    assert set(life.path.parent.iterdir()) == before


def test_a_full_disk_is_no_message_s_fault(life: Life) -> None:
    def full(_: Delivery) -> None:
        raise StorageError("the disk is full")

    life.live()
    for _ in range(2 * DEATHS):
        with pytest.raises(StorageError), InHand(life.path) as in_hand:
            in_hand.over(full, life.refuse)(delivery(b"one"))
    life.live(delivery(b"one"))
    assert life.handled == [b"one"]
    assert life.refused == []


def test_a_marker_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        InHand(tmp_path / "absent" / "marker").__enter__()


def test_only_so_many_suspects_are_remembered(life: Life) -> None:
    life.live()
    for number in range(MOST_SUSPECTS + 5):
        with life.path.open("r+b") as file:
            file.write(number.to_bytes(SIZE - 1, "big") + b"x")
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
    many = [delivery(b"%d" % number) for number in range(1_000)]
    many.insert(500, delivery(FATAL))
    deaths = DEATHS + len(GROUPS) - 1 + DEATHS
    for _ in range(deaths):
        with pytest.raises(RuntimeError):
            life.live(*many)
        assert life.refused == []
        many = [each for each in many if each.body not in life.stored]
    life.live(*many)
    assert [rejected.reason for rejected in life.refused] == [Reason.KILLED]
    assert life.settlings == 0, "the cause is found: nothing else is in doubt"
    assert sorted(map(int, life.stored)) == list(range(1_000))


def test_what_is_in_doubt_is_settled_in_groups(tmp_path: Path) -> None:
    life = StoringLife(tmp_path / "marker")
    for _ in range(DEATHS):
        with pytest.raises(RuntimeError):
            life.live(delivery())
    life.live(*(delivery(b"%d" % number) for number in range(1_000)))
    assert life.settlings == 1_000 // GROUPS[0]


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
    """A life with a connection that ends again and again; some messages take their time."""

    def __init__(self, in_hand: InHand, slow: tuple[bytes, ...]) -> None:
        self.in_hand, self.slow = in_hand, slow
        self.now = 0.0
        self.refused: list[bytes] = []
        in_hand.clock = lambda: self.now
        self.take = in_hand.over(self._handle, lambda each, _: self.refused.append(each.body))

    def _handle(self, delivery: Delivery) -> None:
        self.now += 2 * SLOW if delivery.body in self.slow else 0.0

    def lose(self, *bodies: bytes) -> None:
        for body in bodies:
            self.take(delivery(body))
        self.in_hand.lost()


def test_what_takes_long_whenever_the_connection_is_lost_is_refused(tmp_path: Path) -> None:
    with InHand(tmp_path / "marker") as in_hand:
        life = Connected(in_hand, (FATAL,))
        for number in range(LOSSES):
            life.lose(b"before", FATAL, b"after", b"%d" % number)
            in_hand.lost()
        assert life.refused == []
        life.lose(FATAL, b"after")
        assert life.refused == [FATAL]


def test_bystanders_of_lost_connections_are_no_suspects(tmp_path: Path) -> None:
    with InHand(tmp_path / "marker") as in_hand:
        life = Connected(in_hand, (b"0", b"1"))
        for number in range(3 * LOSSES):
            life.lose(b"%d" % (number % 2), b"always last")
        assert in_hand.suspects == {}
