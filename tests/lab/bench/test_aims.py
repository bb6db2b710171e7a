"""When an aim is reached, in both directions; and what a stream's ratios are taken from."""

import pytest

from nm_lab.bench.aims import Measured
from nm_lab.bench.ingest import TWO, StreamFigures
from nm_lab.bench.readers.task import INGEST, KOMBU, PIKA
from nm_lab.bench.tables import stream_json


@pytest.mark.parametrize(
    ("value", "most", "reached"),
    [(0.8, False, True), (0.79, False, False), (0.8, True, True), (0.81, True, False)],
)
def test_an_aim_is_a_bound_below_or_above(value: float, most: bool, reached: bool) -> None:
    assert Measured("share", value, 0.8, most=most).reached is reached


def test_a_ratio_is_taken_within_its_round_and_the_median_counts() -> None:
    rates = {PIKA: [10.0, 100.0, 10.0], INGEST: [9.0, 50.0, 9.0], KOMBU: [1.0] * 3, TWO: [9.0] * 3}
    stream = StreamFigures("heartbeat", 400, rates)
    assert stream.measured()[0].value == 0.9
    assert stream.rate(PIKA) == 10.0


def test_programs_get_every_round_and_every_verdict() -> None:
    rates = {PIKA: [10.0], INGEST: [5.0], KOMBU: [1.0], TWO: [5.0]}
    told = stream_json(StreamFigures("metrics", 600, rates))
    assert [ratio["reached"] for ratio in told["ratios"]] == [True, True, True]
    assert told["messages_per_cpu_second"]["pika alone, no work"] == [10]
