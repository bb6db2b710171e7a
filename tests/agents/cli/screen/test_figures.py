import pytest

from nm_agents.cli.screen import figures


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.0042, "4 ms"),
        (31, "31 s"),
        (119, "119 s"),
        (180, "3 min"),
        (7200, "2 h"),
        (864_000, "10 d"),
    ],
)
def test_durations_take_their_largest_fitting_unit(seconds: float | None, said: str) -> None:
    assert figures.span(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (143e6, "143 MB"), (2e9, "2.0 GB")],
)
def test_sizes_are_powers_of_a_thousand(count: float, said: str) -> None:
    assert figures.size(count) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "-"),
        (0, "0"),
        (0.0314, "0.0314"),
        (7.9, "7.90"),
        (12.54, "12.5"),
        (4096, "4,096"),
        (1_250_000, "1.25 M"),
        (-3, "-3"),
    ],
)
def test_numbers_are_short(value: float | None, said: str) -> None:
    assert figures.number(value) == said


def test_a_member_never_heard_has_no_age() -> None:
    assert figures.age(None) == "never"


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1e30, 1e30])
def test_an_impossible_time_is_a_question_mark(at: float) -> None:
    assert figures.clock(at) == "?"
