"""Who may say what on the members' streams, judged by the broker's word and nothing else."""

from datetime import UTC, datetime

import pytest

from nm_bus.codec import Reason
from nm_bus.core.admission import FAR_FUTURE, admit
from nm_bus.messages import Event, Heartbeat, Message

NODE, KEY = "n1.llnl.gov", "gov.llnl.n1"
BEAT = Heartbeat("i", 1, 5.0, 1.0, "x")


def event(source: str = NODE) -> Event[Message]:
    return Event("1", source, "nm.heartbeat.v1", datetime.fromtimestamp(0, UTC), BEAT)


def test_a_member_may_speak_for_itself() -> None:
    assert admit(event(), NODE, KEY, sent=0.0, now=0.0) is None


@pytest.mark.parametrize(
    ("source", "user", "key", "reason"),
    [
        (NODE, None, KEY, Reason.NO_USER),
        (NODE, "n2.llnl.gov", KEY, Reason.NOT_SENDER),
        ("n2.llnl.gov", NODE, KEY, Reason.NOT_SENDER),
        (NODE, NODE, "gov.llnl.n2", Reason.NOT_KEY),
    ],
)
def test_nobody_speaks_for_another(source: str, user: str | None, key: str, reason: Reason) -> None:
    rejected = admit(event(source), user, key, sent=0.0, now=0.0)
    assert rejected is not None
    assert rejected.reason is reason


def test_a_wrong_clock_passes_but_not_one_from_the_far_future() -> None:
    assert admit(event(), NODE, KEY, sent=86_400.0, now=0.0) is None
    assert admit(event(), NODE, KEY, sent=-1e9, now=0.0) is None
    rejected = admit(event(), NODE, KEY, sent=FAR_FUTURE + 1, now=0.0)
    assert rejected is not None
    assert rejected.reason is Reason.FAR_FUTURE
