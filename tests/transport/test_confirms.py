"""Each publication gets one outcome, and the guilty one is found."""

from functools import partial

import pytest

from nm_bus.transport.base import Outcome, Outgoing
from nm_bus.transport.publisher import Confirms, Told, Unconfirmed, names

BEAT = Outgoing("heartbeat", "gov.llnl.n1", b"12345", user_id="n1.llnl.gov")


class Outcomes:
    """Some publications that wait, and what was told of each."""

    def __init__(self, *messages: Outgoing) -> None:
        self.confirms = Confirms()
        self.told: list[tuple[int, Outcome]] = []
        for tag, message in enumerate(messages, start=1):
            waiting = Unconfirmed(message, float(tag), partial(self._note, tag))
            self.confirms.add(tag, waiting)

    def _note(self, tag: int, outcome: Outcome) -> None:
        self.told.append((tag, outcome))

    def tell(self, told: list[Told]) -> list[tuple[int, Outcome]]:
        self.told = []
        for done, outcome in told:
            done(outcome)
        return self.told


def test_one_word_of_the_broker_settles_one_or_all_before() -> None:
    five = Outcomes(*[BEAT] * 5)
    one = five.confirms.settle(2, Outcome.CONFIRMED, multiple=False)
    assert five.tell(one) == [(2, Outcome.CONFIRMED)]
    more = five.confirms.settle(4, Outcome.NACKED, multiple=True)
    assert five.tell(more) == [(n, Outcome.NACKED) for n in (1, 3, 4)]
    assert five.confirms.settle(4, Outcome.CONFIRMED, multiple=True) == []
    assert len(five.confirms) == 1


def test_who_waited_too_long_is_told_so() -> None:
    five = Outcomes(*[BEAT] * 5)
    assert five.confirms.next_deadline() == 1.0
    late = five.confirms.expire(3.0)
    assert five.tell(late) == [(n, Outcome.TIMED_OUT) for n in (1, 2, 3)]
    assert five.confirms.next_deadline() == 4.0


def test_a_lost_channel_loses_all() -> None:
    three = Outcomes(*[BEAT] * 3)
    assert {outcome for _, outcome in three.tell(three.confirms.lose())} == {Outcome.LOST}
    assert len(three.confirms) == 0
    assert three.confirms.next_deadline() is None


def test_the_publication_that_the_broker_names_is_refused_and_the_others_are_lost() -> None:
    bad = Outgoing("nowhere", "a", b"")
    three = Outcomes(BEAT, bad, BEAT)
    lost = three.confirms.lose("NOT_FOUND - no exchange 'nowhere' in vhost 'nm.x'")
    assert three.tell(lost) == [(1, Outcome.LOST), (2, Outcome.REFUSED), (3, Outcome.LOST)]


def test_a_refusal_that_names_nobody_is_meant_for_the_only_one() -> None:
    one = Outcomes(BEAT)
    assert one.tell(one.confirms.lose("INTERNAL_ERROR")) == [(1, Outcome.REFUSED)]


@pytest.mark.parametrize(
    ("refusal", "meant"),
    [
        ("ACCESS_REFUSED - access to exchange 'heartbeat' in vhost 'x' refused for user 'y'", True),
        ("ACCESS_REFUSED - access to exchange 'metrics' in vhost 'x' refused for user 'y'", False),
        ("access to topic 'gov.llnl.n1' in exchange 'heartbeat' in vhost 'x' refused", True),
        ("access to topic 'gov.llnl.n2' in exchange 'heartbeat' in vhost 'x' refused", False),
        ("user_id property set to 'n1.llnl.gov' but authenticated user was 'z'", True),
        ("user_id property set to 'n2.llnl.gov' but authenticated user was 'z'", False),
        ("message size 5 is larger than configured max size 4", True),
        ("message size 6 is larger than configured max size 4", False),
        ("something else", False),
    ],
)
def test_the_brokers_words_are_matched_with_a_message(refusal: str, meant: bool) -> None:
    assert names(refusal, BEAT) is meant
