"""Sessions are silent late perhaps, never early."""

from nm_bus.core.ledger.vigil import Vigil
from nm_bus.messages import Entry

GRACE, TTL = 6.0, 10.0
KEY = "session/a.org/x"


def session(generation: int = 3) -> Entry:
    value = {"owner": "a.org", "ttl": int(TTL * 1000), "generation": generation}
    return Entry(KEY, value, generation, "a.org")


def silent(vigil: Vigil, now: float, *sessions: Entry) -> list[str]:
    return [entry.key for entry in vigil.silent(sessions, now)]


def test_a_session_is_silent_after_its_time_to_live_and_the_grace() -> None:
    vigil = Vigil(GRACE)
    assert silent(vigil, 100.0, session()) == []
    assert silent(vigil, 100.0 + TTL + GRACE, session()) == []
    assert silent(vigil, 100.1 + TTL + GRACE, session()) == [KEY]
    assert silent(vigil, 100.2 + TTL + GRACE, session()) == [], "it was said"
    assert silent(vigil, 101.0 + 2 * (TTL + GRACE), session()) == [KEY], "and is said again"


def test_signs_heard_here_or_told_by_others_count() -> None:
    vigil = Vigil(GRACE)
    silent(vigil, 0.0, session())
    vigil.sign(KEY, 10.0)
    assert silent(vigil, 25.0, session()) == []
    vigil.told([KEY, "session/b.org/unknown"], 20.0)
    assert silent(vigil, 35.0, session()) == []
    assert silent(vigil, 36.5, session()) == [KEY]


def test_signs_are_told_once_while_the_session_is_open() -> None:
    vigil = Vigil(GRACE)
    silent(vigil, 0.0, session())
    vigil.sign(KEY, 1.0)
    assert vigil.tell() == (KEY,)
    assert vigil.tell() == ()
    vigil.sign(KEY, 2.0)
    silent(vigil, 3.0)
    assert vigil.tell() == ()


def test_another_opening_and_a_new_beginning_count_from_now() -> None:
    vigil = Vigil(GRACE)
    silent(vigil, 0.0, session(3))
    assert silent(vigil, 17.0, session(8)) == []
    vigil.restart()
    assert silent(vigil, 34.0, session(8)) == []
    assert silent(vigil, 50.5, session(8)) == [KEY]
