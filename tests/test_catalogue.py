"""The metric catalogue: in step with its schema, found by what stands before the bracket."""

from nm_bus.catalogue import catalogue, find, metric_of
from nm_bus.contracts import load
from nm_bus.explain import checker_of


def test_the_catalogue_fits_its_schema() -> None:
    checker_of(load("catalogue/v1.json")).validate(load("catalogue.json"))


def test_no_metric_is_there_twice() -> None:
    assert len(catalogue()) == len(load("catalogue.json")["metrics"])


def test_a_series_is_found_by_what_stands_before_the_bracket() -> None:
    assert metric_of("disk.used[/data]") == "disk.used"
    used = find("disk.used[/data]")
    assert used is not None
    assert (used.unit, used.kind, used.quantiles) == ("B", "gauge", False)


def test_what_a_node_brings_is_not_in_the_catalogue() -> None:
    assert find("check.disk.used") is None


def test_network_traffic_is_counted() -> None:
    assert {name for name, metric in catalogue().items() if metric.kind == "counter"} == {
        "net.sent.bytes",
        "net.received.bytes",
    }
