"""Quantiles are close, sketches merge as if they were one, and a broken one is no sketch."""

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nm_bus.core.sketch import ACCURACY, Sketch, merged, quantiles, read

magnitudes = st.floats(1e-5, 1e17)
values = st.one_of(magnitudes, magnitudes.map(lambda value: -value), st.just(0.0))


def sketch_of(many: list[float]) -> Sketch:
    sketch = Sketch()
    for value in many:
        sketch.add(value)
    return sketch


@given(st.lists(values, min_size=1, max_size=60), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_within_the_accuracy(many: list[float], share: float) -> None:
    exact = sorted(many)[int(share * (len(many) - 1))]
    (found,) = quantiles(sketch_of(many), [share]).values()
    assert found == pytest.approx(exact, rel=ACCURACY * 1.001)


@given(st.lists(values, max_size=40), st.integers(0, 40))
def test_parts_merge_to_the_sketch_of_the_whole(many: list[float], cut: int) -> None:
    parts = [sketch_of(many[cut:]), sketch_of(many[:cut])]
    assert merged(parts) == sketch_of(many)


@given(st.lists(values, max_size=40))
def test_a_sketch_survives_its_journey_as_json(many: list[float]) -> None:
    sketch = sketch_of(many)
    assert read(msgspec.json.decode(msgspec.json.encode(sketch.told()))) == sketch


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=200))
def test_a_sketch_takes_any_number_and_gives_back_what_it_can_read(many: list[float]) -> None:
    sketch = sketch_of(many)
    assert read(sketch.told()) == sketch


@pytest.mark.parametrize(
    "told",
    [
        None,
        {"positive": 3},
        {"positive": {"x": 1}},
        {"positive": {"999999999": 1}},
        {"negative": {"1": -1}},
        {"zero": -1},
    ],
)
def test_what_is_no_sketch_is_none(told: dict[str, Any] | None) -> None:
    assert read(told) is None


def test_quantiles_are_named_by_their_percentage() -> None:
    assert list(quantiles(sketch_of([1.0]), [0.5, 0.999])) == ["p50", "p99.9"]
    assert quantiles(Sketch(), [0.5]) == {}


def test_the_library_is_imported_only_when_a_quantile_is_asked() -> None:
    program = "import sys, nm_bus.core.windows; sys.exit('ddsketch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
