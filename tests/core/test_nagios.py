"""What plugins print, as verdicts and metrics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.nagios import (
    MOST_SERIES,
    OUTPUT_LENGTH,
    Value,
    failed,
    performance,
    read,
    series,
    verdict,
)
from nm_bus.messages import CheckStatus, Declared


@pytest.mark.parametrize(
    ("code", "status"),
    [(0, "ok"), (1, "warning"), (2, "critical"), (3, "unknown")],
)
def test_the_four_exit_codes_are_the_four_statuses(code: int, status: str) -> None:
    assert verdict(code, "HTTP - fine").status == CheckStatus(status)
    assert verdict(code, "HTTP - fine").output == "HTTP - fine"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (4, "exit code 4, not one of 0 to 3: x"),
        (127, "exit code 127, not one of 0 to 3: x"),
        (-11, "ended by signal 11, not one of 0 to 3: x"),
    ],
)
def test_any_other_end_is_unknown_and_says_how_it_ended(code: int, said: str) -> None:
    assert verdict(code, "x") == failed(said)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ("time=0.04s;1;2;0;10", [Value("time", 0.04, "s", "gauge")]),
        ("rta=12ms", [Value("rta", 0.012, "s", "gauge")]),
        ("pl=0%;20;60;0", [Value("pl", 0.0, "%", "gauge")]),
        ("size=2KB", [Value("size", 2048.0, "B", "gauge")]),
        ("/=2643MB;5948;5958;0;5968", [Value("root", 2643 * 1024.0**2, "B", "gauge")]),
        (
            "/var/log=1B /home=2B",
            [Value("var_log", 1, "B", "gauge"), Value("home", 2, "B", "gauge")],
        ),
        ("in=17c", [Value("in", 17.0, "1", "counter")]),
        ("users=3;5;10;0", [Value("users", 3.0, "1", "gauge")]),
        ("'C: used %'=5%", [Value("C_used", 5.0, "%", "gauge")]),
        ("'it''s'=1", [Value("it_s", 1.0, "1", "gauge")]),
        ("t=1,5s", [Value("t", 1.5, "s", "gauge")]),
        ("t=-1.5e3", [Value("t", -1500.0, "1", "gauge")]),
        ("t=1;@10:20;~:5", [Value("t", 1.0, "1", "gauge")]),
    ],
)
def test_performance_data_is_read_in_base_units(data: str, values: list[Value]) -> None:
    assert list(performance(data)) == values


@pytest.mark.parametrize(
    "data", ["", "t=U", "t=", "=5", "t=5furlongs", "t=1.2.3", "'open=5", "hello world", "t=1e999"]
)
def test_what_does_not_follow_the_format_is_skipped(data: str) -> None:
    assert performance(data) == ()


def test_a_bad_value_does_not_hide_the_good_one_beside_it() -> None:
    assert [value.label for value in performance("a=U b=2 c=x d=4")] == ["b", "d"]


def test_the_first_of_two_values_of_one_label_counts() -> None:
    assert performance("a=1 a=2") == (Value("a", 1.0, "1", "gauge"),)


def test_the_number_of_values_is_bounded() -> None:
    assert len(performance(" ".join(f"v{n}={n}" for n in range(500)))) == MOST_SERIES


def test_later_lines_may_bring_more_performance_data() -> None:
    line, values = read("DISK OK | a=1\nlong text\nmore | b=2\nc=3\n")
    assert line == "DISK OK"
    assert [value.label for value in values] == ["a", "b", "c"]


def test_the_first_line_is_one_plain_bounded_line() -> None:
    line, _ = read("\x1b[31mred\x07 \t" + "x" * 1000)
    assert line.startswith("[31mred")
    assert len(line) == OUTPUT_LENGTH
    assert line.isprintable()


def test_values_are_named_after_their_check_and_declared() -> None:
    values, declared = series("thredds.http", performance("time=2s hits=7c"))
    assert values == {"check.thredds_http.time": 2.0, "check.thredds_http.hits": 7.0}
    assert declared == (
        Declared("check.thredds_http.time", "s", "gauge"),
        Declared("check.thredds_http.hits", "1", "counter"),
    )


@given(st.integers(-64, 300), st.text(max_size=2000))
def test_no_output_of_any_plugin_breaks_the_reading(code: int, text: str) -> None:
    result = verdict(code, text)
    assert len(result.output) <= OUTPUT_LENGTH
    assert "\n" not in result.output
    assert len(result.values) <= MOST_SERIES
