"""What plugins print, as verdicts and metrics."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.agent import fitting
from nm_bus.core.nagios import (
    MOST_LEFT_OUT,
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
    assert performance(data) == (tuple(values), ())


@pytest.mark.parametrize(
    ("data", "left_out"),
    [
        ("", ()),
        ("t=U", ()),
        ("t=U;1;2", ()),
        ("t=", ()),
        ("=5", ("=5",)),
        ("t=1.2.3", ("t=1.2.3",)),
        ("'open=5", ("'open=5",)),
        ("hello world", ("hello", "world")),
        ("t=1e999", ("t",)),
    ],
)
def test_what_does_not_follow_the_format_is_left_out_and_named(
    data: str, left_out: tuple[str, ...]
) -> None:
    assert performance(data) == ((), left_out)


@pytest.mark.parametrize(
    ("data", "unit", "kind", "value"),
    [
        ("temp=21C", "Cel", "gauge", 21.0),
        ("hits=21c", "1", "counter", 21.0),
        ("size=2MiB", "B", "gauge", 2 * 1024.0**2),
        ("rate=3KB/s", "B/s", "gauge", 3 * 1024.0),
        ("line=3Mb", "Mb", "gauge", 3.0),
        ("wait=5msec", "s", "gauge", 0.005),
        ("power=7W", "W", "gauge", 7.0),
        ("way=5furlongs", "furlongs", "gauge", 5.0),
        ("angle=5\u00b0", "1", "gauge", 5.0),
    ],
)
def test_a_unit_is_what_the_plugin_means_and_an_unknown_one_stays(
    data: str, unit: str, kind: str, value: float
) -> None:
    ((found,), left_out) = performance(data)
    assert (found.unit, found.kind) == (unit, kind)
    assert found.value == pytest.approx(value)
    assert left_out == ()


@pytest.mark.parametrize(
    "data",
    [
        "'used'=1 'used %'=2",
        "'/data 1'=1 /data_1=2",
        f"/{'x' * 66}a=1 /{'x' * 66}b=2",
        "\u0434\u0438\u0441\u043a=1 \u0446\u043f=2",
        "/=1 root=2",
    ],
)
def test_two_labels_are_two_series_in_whatever_order_they_come(data: str) -> None:
    (one, other), left_out = performance(data)
    assert one.label != other.label
    assert left_out == ()
    shuffled, _ = performance(" ".join(reversed(re.findall(r"(?:'[^']*'|\S+?)=\S+", data))))
    assert {v.value: v.label for v in shuffled} == {v.value: v.label for v in (one, other)}
    names, _ = series("disk", (one, other))
    assert fitting(names).troubles == {}


def test_two_checks_are_never_one_series() -> None:
    values, _ = performance("a=1")
    checks = ("disk.a", "disk_a", "disk..a", "disk.a.")
    names = [name for check in checks for name in series(check, values)[0]]
    assert len(set(names)) == 4
    assert fitting(dict.fromkeys(names, 1.0)).troubles == {}


def test_where_a_plugin_says_nothing_its_reason_is_what_it_printed_to_standard_error() -> None:
    assert verdict(2, "", "\ncannot open /data\nsee the log\n").output == "cannot open /data"
    assert verdict(1, "\n\n disk full\n", "x").output == "disk full"


def test_a_plugin_that_crashed_is_unknown_and_not_a_warning() -> None:
    crash = "Traceback (most recent call last):\n  File \"x\"\nKeyError: 'a'\n"
    found = verdict(1, "", crash)
    assert (found.status, found.output) == (
        CheckStatus.UNKNOWN,
        "the plugin crashed: KeyError: 'a'",
    )


def test_a_bad_value_does_not_hide_the_good_one_beside_it() -> None:
    assert [value.label for value in performance("a=U b=2 c=x d=4")[0]] == ["b", "d"]


def test_the_first_of_two_values_of_one_label_counts() -> None:
    assert performance("a=1 a=2") == ((Value("a", 1.0, "1", "gauge"),), ("a",))


@pytest.mark.parametrize(
    ("data", "unit", "value"),
    [
        ("t=5µs", "s", 5e-6),
        ("t=5μs", "s", 5e-6),
        ("t=5ns", "s", 5e-9),
        ("t=21°C", "Cel", 21.0),
        ("t=70F", "[degF]", 70.0),
    ],
)
def test_a_unit_that_is_not_ascii_is_no_bare_number(data: str, unit: str, value: float) -> None:
    ((found,), _) = performance(data)
    assert found.unit == unit
    assert found.value == pytest.approx(value)


def test_the_number_of_values_is_bounded() -> None:
    values, left_out = performance(" ".join(f"v{n}={n}" for n in range(500)))
    assert [value.label for value in values] == [f"v{n}" for n in range(MOST_SERIES)]
    assert left_out[:2] == ("v64", "v65")
    assert left_out[-1] == f"{500 - MOST_SERIES - MOST_LEFT_OUT} others"


def test_later_lines_may_bring_more_performance_data() -> None:
    line, values, _ = read("DISK OK | a=1\nlong text\nmore | b=2\nc=3\n")
    assert line == "DISK OK"
    assert [value.label for value in values] == ["a", "b", "c"]


def test_the_first_line_is_one_plain_bounded_line() -> None:
    line, _, _ = read("\x1b[31mred\x07 \t" + "x" * 1000)
    assert line.startswith("[31mred")
    assert len(line) == OUTPUT_LENGTH
    assert line.isprintable()


def test_values_are_named_after_their_check_and_declared() -> None:
    values, declared = series("thredds.http", performance("time=2s hits=7c")[0])
    assert values == {"check.thredds.http.time": 2.0, "check.thredds.http.hits": 7.0}
    assert declared == (
        Declared("check.thredds.http.time", "s", "gauge"),
        Declared("check.thredds.http.hits", "1", "counter"),
    )


@given(st.integers(-64, 300), st.text(max_size=2000))
def test_no_output_of_any_plugin_breaks_the_reading(code: int, text: str) -> None:
    result = verdict(code, text)
    assert len(result.output) <= OUTPUT_LENGTH
    assert "\n" not in result.output
    assert len(result.values) <= MOST_SERIES
