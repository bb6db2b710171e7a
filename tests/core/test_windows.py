"""Samples land in the minute where they were measured, whatever their order and delay."""

import random
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.codec import decode, encode
from nm_bus.core.windows import Closed, KeptWindow, Windows
from nm_bus.messages import Declared, Event, Rollup, Rollups, Series
from nm_bus.topology import PEER_BYTES

NODE, OTHER = "n1.example.org", "n2.example.org"
START = 1_800_000_000.0  # a full hour
MINUTE, HOUR = 60.0, 3600.0
LATEST = START + HOUR - 1
"""The last second at which the minute that begins at START is remembered."""

KINDS = {
    "load": Declared("load", "1"),
    "sent": Declared("sent", "B", "counter"),
    "delay": Declared("delay", "s", "gauge", quantiles=True),
}


def kind(name: str) -> Declared:
    return KINDS.get(name, Declared(name, ""))


def fed(samples: Iterable[tuple[str, float, float]], now: float = LATEST) -> Windows:
    """Windows of one node to which (series, seconds after START, value) came in this order."""
    windows = Windows()
    for name, after, value in samples:
        windows.feed(NODE, {name: value}, START + after, now, kind)
    return windows


def seen(windows: Windows, name: str, now: float = LATEST) -> Series:
    series = windows.series(NODE, name, now)
    assert series is not None
    return series


def told(pages: Iterable[Closed]) -> list[Rollups]:
    """The pages as messages that went through JSON."""
    messages = [
        Rollups("s1.example.org", 0, "a", n, page.start, page.length, page.nodes)
        for n, page in enumerate(pages)
    ]
    return msgspec.json.decode(msgspec.json.encode(messages), type=list[Rollups])


def test_a_minute_is_told_once_its_grace_has_passed() -> None:
    windows = fed([("load", 10, 1.0), ("load", 40, 3.0)], now=START + 41)
    assert windows.close(START + MINUTE + 4.9) == []
    (page,) = windows.close(START + MINUTE + 5)
    assert page.start == START
    assert page.nodes == {NODE: {"load": Rollup(2, 4.0, 1.0, 3.0, 3.0, at=40.0)}}
    assert windows.close(START + 2 * MINUTE) == []


def test_a_minute_of_many_nodes_is_told_over_several_calls_each_node_once() -> None:
    windows = Windows()
    nodes = [f"n{n}.example.org" for n in range(5)]
    for node in nodes:
        windows.feed(node, {"load": 1.0}, START + 10, START + 10, kind)
    calls = [windows.close(LATEST, most=2) for _ in range(4)]
    assert [[list(page.nodes) for page in pages] for pages in calls] == [
        [nodes[:2]],
        [nodes[2:4]],
        [nodes[4:]],
        [],
    ]


def test_a_minute_that_changed_after_it_was_told_is_told_again_as_a_whole() -> None:
    windows = fed([("load", 10, 1.0)])
    windows.close(LATEST)
    windows.feed(NODE, {"load": 5.0}, START + 50, LATEST, kind)
    (page,) = windows.close(START + HOUR)
    assert page.nodes[NODE]["load"] == Rollup(2, 6.0, 1.0, 5.0, 5.0, at=50.0)


def test_a_sample_from_the_future_is_taken_as_of_now() -> None:
    windows = Windows()
    windows.feed(NODE, {"load": 1.0}, START + 1e6, START + 30, kind)
    (window,) = seen(windows, "load", START + 31).minute
    assert (window.start, window.rollup.at) == (START, 30.0)


def test_a_late_sample_does_not_become_the_last_value() -> None:
    windows = fed([("load", 50, 9.0), ("load", 20, 1.0)], now=START + 50)
    assert seen(windows, "load", START + 55).minute[0].rollup.last == 9.0


def test_longer_windows_are_merged_from_minutes() -> None:
    windows = fed([("load", minute * MINUTE, float(minute)) for minute in range(60)])
    series = seen(windows, "load")
    assert [window.start for window in series.minute] == [
        START + minute * MINUTE for minute in range(45, 60)
    ]
    assert [window.start for window in series.five] == [START + n * 300 for n in range(12)]
    assert series.five[1].rollup == Rollup(5, 35.0, 5.0, 9.0, 9.0, at=240.0)
    assert series.hour is not None
    assert series.hour.rollup == Rollup(60, 1770.0, 0.0, 59.0, 59.0, at=3540.0)


def test_a_counter_is_told_as_a_rate_across_minutes() -> None:
    windows = fed([("sent", after, after * 10.0) for after in range(0, 600, 30)])
    pages = windows.close(START + HOUR)
    assert [page.nodes[NODE]["sent"].rate for page in pages] == [None] + [10.0] * 9
    series = seen(windows, "sent", START + 600)
    assert series.hour is not None
    assert series.hour.rollup.rate == 10.0
    assert (series.kind, series.unit) == ("counter", "B")


def test_a_counter_that_began_anew_has_no_rate_in_that_minute() -> None:
    windows = fed([("sent", 0, 1000), ("sent", 60, 1600), ("sent", 120, 5), ("sent", 180, 65)])
    rates = [page.nodes[NODE]["sent"].rate for page in windows.close(START + HOUR)]
    assert rates == [None, 10.0, None, 1.0]


def test_a_gauge_has_no_rate() -> None:
    windows = fed([("load", 0, 1.0), ("load", 60, 2.0)])
    assert [p.nodes[NODE]["load"].rate for p in windows.close(START + HOUR)] == [None, None]


def test_quantiles_are_kept_where_the_catalogue_asks() -> None:
    windows = fed([("delay", n, float(n)) for n in range(1, 101)] + [("load", 1, 1.0)])
    quantiles = seen(windows, "delay").quantiles
    assert quantiles == pytest.approx({"p50": 50, "p90": 90, "p99": 99}, rel=0.02)
    assert seen(windows, "load").quantiles == {}


def test_what_a_silent_hour_left_behind_is_forgotten() -> None:
    windows = fed([("load", 0, 1.0)], now=START)
    assert seen(windows, "load", START + HOUR).hour is None
    assert windows.node(NODE, START + HOUR) == {}
    windows.close(START + 2 * HOUR)
    assert list(windows.nodes()) == []


def test_a_minute_an_hour_later_does_not_mix_with_the_old_one() -> None:
    windows = fed([("delay", 10, 1.0)], now=START + 10)
    windows.feed(NODE, {"delay": 7.0}, START + HOUR + 10, START + HOUR + 10, kind)
    series = seen(windows, "delay", START + HOUR + 20)
    assert [window.rollup.count for window in series.minute] == [1]
    assert series.quantiles["p50"] == pytest.approx(7.0, rel=0.02)


def test_samples_hours_late_are_told_when_no_more_of_them_come() -> None:
    windows, now = Windows(), START + 5 * HOUR
    for after in (0, 30, 60):
        windows.feed(NODE, {"delay": after + 1.0}, START + after, now, kind)
    assert windows.close(now + 1) == []
    first, second = windows.close(now + 5)
    assert (first.start, first.nodes[NODE]["delay"].count) == (START, 2)
    assert (second.start, second.nodes[NODE]["delay"].last) == (START + 60, 61.0)
    assert first.nodes[NODE]["delay"].sketch is not None
    assert windows.close(now + 100) == []


def test_a_spool_of_thousands_of_series_a_minute_makes_pages_that_fit_their_schema() -> None:
    windows, now = Windows(), START + 5 * HOUR
    for batch in range(40):
        values = {f"series.{batch}.{n}": 1.0 for n in range(500)}
        windows.feed(NODE, values, START, now, kind)
    for name in range(3000):
        windows.feed(NODE, {f"now.{name}": 1.0}, now, now, kind)
    pages = windows.close(now + 100)

    assert windows.dropped.crowded == 40 * 500 + 3000 - 2 * 500
    for number, page in enumerate(pages):
        rollups = Rollups(NODE, 0, "ab", number + 1, page.start, page.length, page.nodes)
        body = encode(rollups, source=NODE, id="1", time=now)
        assert isinstance(decode(body, limit=PEER_BYTES), Event)
    told = [name for page in pages for name in page.nodes[NODE]]
    assert len(told) == len(set(told)) == 2 * 500


@pytest.mark.parametrize("letter", ["x", "\u00e9", '"', "\U0001f600"])
@pytest.mark.parametrize("late", [0.0, 5 * HOUR])
def test_pages_of_many_members_with_long_names_stay_under_a_peers_limit(
    letter: str, late: float
) -> None:
    windows, now = Windows(), START + late
    for n in range(40):
        values = {f"disk[{letter * 280}{i:05}]": -1.2345678901234567e-99 for i in range(500)}
        windows.feed(f"n{n}.{'x' * 150}.org", values, START, now, kind)
    pages = windows.close(now + 200)

    assert sum(len(series) for page in pages for series in page.nodes.values()) == 20_000
    for number, page in enumerate(pages):
        rollups = Rollups(NODE, 0, "ab", number + 1, page.start, page.length, page.nodes)
        body = encode(rollups, source=NODE, id="1", time=now)
        assert isinstance(decode(body, limit=PEER_BYTES), Event)


def test_a_members_minute_is_cut_where_the_schema_allows_no_more_series() -> None:
    windows = Windows(per_node=2_500)
    windows.feed(NODE, {f"s{n}": 1.0 for n in range(2_500)}, START, START, kind)
    assert [len(page.nodes[NODE]) for page in windows.close(START + 200)] == [1000, 1000, 500]


def test_samples_older_than_a_day_are_dropped_and_counted() -> None:
    windows = fed([("load", 0, 1.0)], now=START + 25 * HOUR)
    assert windows.dropped.old == 1
    assert windows.close(START + 26 * HOUR) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300])
def test_what_is_no_usable_number_is_dropped_and_counted(value: float) -> None:
    windows = fed([("load", 0, value)])
    assert windows.dropped.unreadable == 1
    assert windows.series(NODE, "load", START) is None


def test_a_node_has_a_limited_number_of_series() -> None:
    windows = Windows(per_node=2, most=3)
    for node in (NODE, OTHER):
        windows.feed(node, {"a": 1, "b": 2, "c": 3}, START, START, kind)
    assert windows.dropped.crowded == 3
    assert (len(windows.node(NODE, START)), len(windows.node(OTHER, START))) == (2, 1)
    windows.forget(NODE)
    windows.feed(OTHER, {"b": 2}, START, START, kind)
    assert len(windows.node(OTHER, START)) == 2


def test_a_forgotten_node_is_told_no_more() -> None:
    windows = fed([("load", 0, 1.0), ("load", -7200, 1.0)])
    windows.forget(NODE)
    assert windows.close(START + 2 * HOUR) == []
    assert windows.series(NODE, "load", START) is None


def test_a_declaration_that_comes_after_the_first_sample_counts_from_then_on() -> None:
    windows = fed([("x", 0, 0.0), ("x", 60, 60.0)])
    windows.declare(NODE, lambda name: Declared(name, "B", "counter", quantiles=True))
    windows.feed(NODE, {"x": 120.0}, START + 120, START + HOUR, kind)
    series = seen(windows, "x")
    assert series.kind == "counter"
    assert series.hour is not None
    assert series.hour.rollup.rate == 1.0
    assert series.quantiles["p50"] == pytest.approx(120, rel=0.02)


def test_a_large_minute_is_told_in_pages() -> None:
    windows = Windows()
    for n in range(50):
        values = {f"m{k}": float(k) for k in range(500)}
        windows.feed(f"n{n}.example.org", values, START, START, kind)
    messages = told(windows.close(START + HOUR))
    assert len(messages) == 3
    assert all(len(msgspec.json.encode(message)) < 2 * 1024 * 1024 for message in messages)
    assert sum(len(s) for message in messages for s in message.nodes.values()) == 25_000


def test_a_minute_from_a_peer_whose_clock_is_ahead_is_dropped_and_counted() -> None:
    windows = Windows()
    for message in told(fed([("load", 0, 1.0)]).close(START + HOUR)):
        windows.absorb(message, START - HOUR, kind)
    assert windows.dropped.ahead == 1
    assert list(windows.nodes()) == []


def test_minutes_that_were_absorbed_are_not_told_on() -> None:
    windows = Windows()
    for message in told(fed([("load", 0, 1.0)]).close(START + HOUR)):
        windows.absorb(message, LATEST, kind)
    assert seen(windows, "load").hour is not None
    assert windows.close(START + 2 * HOUR) == []


samples = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)),
        st.integers(0, 3539).map(float),  # so that each minute has ended by LATEST
        st.integers(-(10**6), 10**6).map(float),
    ),
    max_size=40,
)


def everything(windows: Windows) -> dict[str, Series]:
    return windows.node(NODE, LATEST)


@given(samples, st.randoms(use_true_random=False))
def test_samples_in_any_order_give_the_same(
    many: list[tuple[str, float, float]], rng: random.Random
) -> None:
    shuffled = rng.sample(many, len(many))
    assert everything(fed(shuffled)) == everything(fed(many))


@given(samples, samples, st.randoms(use_true_random=False))
def test_a_peer_sees_the_same_whatever_happened_to_the_messages(
    before: list[tuple[str, float, float]],
    after: list[tuple[str, float, float]],
    rng: random.Random,
) -> None:
    """Some minutes are told twice, the second time fuller; then all are repeated and shuffled."""
    origin, peer = fed(before), Windows()
    messages = told(origin.close(LATEST))
    for name, at, value in after:
        origin.feed(NODE, {name: value}, START + at, LATEST, kind)
    messages += told(origin.close(LATEST))
    for message in rng.sample(messages * 2, len(messages) * 2):
        peer.absorb(message, LATEST, kind)
    assert everything(peer) == everything(origin)


@given(samples, st.integers(0, 59))
def test_two_processes_that_share_an_hour_add_up_to_one(
    many: list[tuple[str, float, float]], cut: int
) -> None:
    whole, peer = fed(many), Windows()
    for part in (
        [s for s in many if s[1] < cut * MINUTE],
        [s for s in many if s[1] >= cut * MINUTE],
    ):
        for message in told(fed(part).close(LATEST)):
            peer.absorb(message, LATEST, kind)
    assert everything(peer) == everything(whole)


@given(samples)
def test_a_restart_loses_nothing(many: list[tuple[str, float, float]]) -> None:
    before, after = fed(many), Windows()
    for part in before.dump_changes(NODE).values():
        stored = msgspec.msgpack.encode(part)
        after.load(NODE, msgspec.msgpack.decode(stored, type=KeptWindow), LATEST)
    assert everything(after) == everything(before)
    assert after.close(LATEST) == before.close(LATEST)


@given(samples, samples, st.randoms(use_true_random=False))
def test_parts_that_are_stored_as_they_change_add_up_to_the_whole(
    first: list[tuple[str, float, float]],
    second: list[tuple[str, float, float]],
    rng: random.Random,
) -> None:
    before, after = fed(first), Windows()
    stored = before.dump_changes(NODE)
    for name, at, value in second:
        before.feed(NODE, {name: value}, START + at, LATEST, kind)
    stored |= before.dump_changes(NODE)
    assert before.dump_changes(NODE) == {}
    for part in rng.sample(sorted(stored), len(stored)):
        after.load(NODE, stored[part], LATEST)
    assert everything(after) == everything(before)
    assert after.close(LATEST) == before.close(LATEST)


def test_a_node_is_stored_in_a_bounded_number_of_parts() -> None:
    windows, keys = Windows(), set[int]()
    for minute in range(300):
        now = START + minute * MINUTE
        windows.feed(NODE, {"load": 1.0}, now, now, kind)
        keys |= windows.dump_changes(NODE).keys()
    assert keys == set(range(7))


def test_a_restart_a_day_later_begins_again() -> None:
    windows = Windows()
    for part in fed([("load", 0, 1.0)]).dump_changes(NODE).values():
        windows.load(NODE, part, START + 24 * HOUR)
    assert windows.node(NODE, START + 24 * HOUR) == {}
