"""Whether silence can be trusted: canaries on time, late, gone; messages thrown away."""

from nm_bus.core.pipe import Pipe


def pipe() -> Pipe:
    return Pipe("heartbeat.0", limit=3.0)


def proven(until: float = 100.0) -> Pipe:
    """A pipe whose canaries came back each half second from 0 on."""
    works = pipe()
    for step in range(int(until * 2) + 1):
        works.heard(step / 2, step / 2 + 0.01)
    return works


def test_a_path_is_in_doubt_until_the_first_canary_came_back() -> None:
    assert "no canary" in pipe().doubt(now=0)


def test_canaries_on_time_prove_a_path() -> None:
    works = proven()
    assert works.doubt(now=100.1) == ""
    assert works.silence(last_heard=80.0, now=100.1) == 20.0


def test_a_canary_that_does_not_come_puts_the_path_in_doubt() -> None:
    works = proven()
    assert works.doubt(now=103.0) == ""
    assert "no canary came back for over 3 s" in works.doubt(now=103.1)


def test_silence_says_nothing_while_the_path_is_in_doubt() -> None:
    assert proven().silence(last_heard=0.0, now=200.0) == 0.0


def test_after_doubt_silence_counts_from_when_the_path_works_again() -> None:
    works = proven()
    works.heard(150.0, 150.01)
    assert works.doubt(now=150.1) == ""
    assert works.silence(last_heard=90.0, now=150.1) == 0.0
    for step in range(1, 41):
        works.heard(150.0 + step / 2, 150.01 + step / 2)
    assert abs(works.silence(last_heard=90.0, now=170.1) - 19.99) < 0.01


def test_a_backlog_of_ten_minutes_never_adds_up_to_silence() -> None:
    works = proven()
    for second in range(100, 1300):
        behind = min(600.0, (second - 100) * 2.0)
        works.heard(second - behind / 2, float(second))
        assert works.silence(last_heard=99.0, now=second + 0.1) < 15.0


def test_canaries_that_all_come_late_never_prove_a_path() -> None:
    slow = pipe()
    for second in range(100):
        slow.heard(float(second), second + 10.0)
    assert slow.doubt(now=109.5) != ""
    assert slow.silence(last_heard=0.0, now=109.5) == 0.0


def test_thrown_away_messages_start_the_clock_of_silence_again() -> None:
    works = proven()
    works.threw(5, now=100.0)
    assert "throws messages away" in works.doubt(now=101.0)
    works.heard(104.0, 104.01)
    assert works.doubt(now=104.1) == ""
    assert works.silence(last_heard=80.0, now=104.1) < 5.0
    assert works.thrown == 5


def test_the_carriers_word_is_the_reason() -> None:
    works = proven()
    works.troubled("blocked: memory alarm")
    assert works.doubt(now=100.1) == "blocked: memory alarm"
    works.troubled("")
    assert works.doubt(now=100.1) == ""


def test_a_canary_from_before_the_frontier_changes_nothing() -> None:
    works = proven()
    works.heard(50.0, 100.1)
    assert works.frontier == 100.0


def test_the_reason_does_not_change_while_the_doubt_is_the_same() -> None:
    works = proven()
    assert works.doubt(now=110.0) == works.doubt(now=120.0)
