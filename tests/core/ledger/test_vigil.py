"""Sessions are silent late perhaps, never early."""

from heapq import heappop

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.ledger.vigil import Vigil
from nm_bus.messages import Entry

GRACE, TTL = 6.0, 10.0
KEY = "session/a.org/x"


def session(generation: int = 3, key: str = KEY) -> Entry:
    value = {"owner": "a.org", "ttl": int(TTL * 1000), "generation": generation}
    return Entry(key, value, generation, "a.org")


def keys(count: int) -> list[str]:
    return [f"session/a.org/{number}" for number in range(count)]


def watching(now: float, *sessions: Entry) -> Vigil:
    vigil = Vigil(GRACE)
    vigil.begin(sessions, now)
    return vigil


def silent(vigil: Vigil, now: float) -> list[str]:
    return [key for key, _ in vigil.silent(now, 1_000)]


def test_a_session_is_silent_after_its_time_to_live_and_the_grace() -> None:
    vigil = watching(100.0, session())
    assert silent(vigil, 100.0) == []
    assert silent(vigil, 100.0 + TTL + GRACE) == []
    assert vigil.silent(100.1 + TTL + GRACE, 1) == [(KEY, 3)]
    assert silent(vigil, 100.2 + TTL + GRACE) == [], "it was said"
    assert silent(vigil, 101.0 + 2 * (TTL + GRACE)) == [KEY], "and is said again"


def test_signs_heard_here_or_told_by_others_count() -> None:
    vigil = watching(0.0, session())
    vigil.sign(KEY, 10.0)
    assert silent(vigil, 25.0) == []
    vigil.told([KEY, "session/b.org/unknown"], 20.0)
    assert silent(vigil, 35.0) == []
    assert silent(vigil, 36.5) == [KEY]


def test_signs_are_told_once_while_the_session_is_open() -> None:
    vigil = watching(0.0, session())
    vigil.sign("session/b.org/unknown", 1.0)
    vigil.sign(KEY, 1.0)
    assert vigil.tell() == (KEY,)
    assert vigil.tell() == ()
    vigil.sign(KEY, 2.0)
    vigil.closed(KEY)
    assert vigil.tell() == ()


def test_another_opening_and_a_new_beginning_count_from_now() -> None:
    vigil = watching(0.0, session(3))
    vigil.opened(session(8), 17.0)
    assert silent(vigil, 17.0) == []
    vigil.restart()
    assert silent(vigil, 34.0) == []
    assert silent(vigil, 50.5) == [KEY]
    vigil.sign(KEY, 51.0)
    vigil.begin([session(8), session(9, "session/a.org/y")], 60.0)
    assert vigil.tell() == (KEY,), "what was heard is told all the same"
    assert silent(vigil, 76.0) == []
    assert silent(vigil, 76.5) == [KEY, "session/a.org/y"]


def test_a_session_that_was_closed_is_not_silent() -> None:
    vigil = watching(0.0, session())
    vigil.closed(KEY)
    vigil.closed(KEY)
    assert silent(vigil, 100.0) == []


def test_no_more_are_given_at_once_than_was_asked_for_and_none_is_lost() -> None:
    vigil = watching(0.0, *(session(3, key) for key in keys(25)))
    given = [vigil.silent(now, 10) for now in (20.0, 20.5, 21.0, 21.5)]
    assert [len(some) for some in given] == [10, 10, 5, 0]
    assert sorted(key for some in given for key, _ in some) == sorted(keys(25))


def test_who_gives_signs_is_looked_at_once_in_its_time_to_live(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not at each beat: the work grows with what changes, not with who has a session."""
    looked: list[tuple[float, str]] = []

    def pop(heap: list[tuple[float, str]]) -> tuple[float, str]:
        looked.append(heap[0])
        return heappop(heap)

    monkeypatch.setattr("nm_bus.core.ledger.vigil.heappop", pop)
    vigil = watching(0.0, *(session(3, key) for key in keys(100)))
    for beat in range(160):
        vigil.told(keys(100), beat / 2)
        assert silent(vigil, beat / 2) == []
    assert len(looked) <= 100 * 80 / (TTL + GRACE)


def test_what_is_kept_for_sessions_that_came_and_went_is_bounded() -> None:
    vigil = watching(0.0)
    for number in range(2_000):
        vigil.opened(session(number), number / 1000)
        vigil.closed(KEY)
    assert len(vigil._looks) < 200


beats = st.lists(
    st.tuples(st.sampled_from(["sign", "open", "close", "restart", ""]), st.integers(0, 3)),
    max_size=80,
)


@given(beats)
def test_it_finds_what_a_look_at_all_finds(beats: list[tuple[str, int]]) -> None:
    vigil, since, generations = watching(0.0), dict[str, float](), dict[str, int]()
    for beat, (kind, number) in enumerate(beats):
        now, key = 5.0 * beat, f"session/a.org/{number}"
        match kind:
            case "sign" if key in since:
                vigil.sign(key, now)
                since[key] = now
            case "open":
                vigil.opened(session(beat, key), now)
                since[key], generations[key] = now, beat
            case "close":
                vigil.closed(key)
                since.pop(key, None)
            case "restart":
                vigil.restart()
                since = dict.fromkeys(since, now)
        over = {key for key, then in since.items() if now - then > TTL + GRACE}
        assert sorted(vigil.silent(now, 100)) == sorted((key, generations[key]) for key in over)
        since |= dict.fromkeys(over, now)
