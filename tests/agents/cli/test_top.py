import io
import json

import pytest
from msgspec import structs

from nm_agents.cli.screen.console import screen, show
from nm_agents.cli.screen.top import history, top_page
from nm_bus.messages import Rollup, Window

from .conftest import FakeBus, Run, client_of
from .pictures import WIDTHS, agrees_with, drawn


@pytest.mark.parametrize("width", WIDTHS)
def test_the_screen_looks_as_it_did(bus: FakeBus, width: int | None) -> None:
    detail = client_of(bus).node("esgf-node1.llnl.gov")
    assert agrees_with("top", width, drawn(lambda columns: top_page(detail, columns), width))


def test_series_that_are_left_out_are_counted(bus: FakeBus) -> None:
    detail = structs.replace(client_of(bus).node("esgf-node1.llnl.gov"), left_out=7)
    out = io.StringIO()
    show(screen(out, 120), top_page(detail, 120))
    assert "; 7 more series are too many for one answer" in out.getvalue()


def test_a_name_in_capitals_is_found(run: Run) -> None:
    assert run("top", "ESGF-Node1.llnl.gov").exit_code == 0


def test_json_has_every_window(run: Run) -> None:
    data = json.loads(run("top", "esgf-node1.llnl.gov", "--json").stdout)
    assert len(data["series"]["host.load.1m"]["five"]) == 12


def test_an_unknown_node_is_one_sentence(run: Run) -> None:
    said = run("top", "nobody.example.org")
    assert said.exit_code == 2
    assert said.stderr.startswith("nm-bus: n9.example.org is no known node")


def test_a_missing_minute_is_a_gap() -> None:
    windows = [Window(start, Rollup(1, 5.0, 5.0, 5.0, 5.0)) for start in (0.0, 60.0, 240.0)]
    assert history(windows, 60.0, "gauge") == [5.0, 5.0, None, None, 5.0]


def test_a_filter_leaves_the_metrics_that_it_names(bus: FakeBus) -> None:
    detail = client_of(bus).node("esgf-node1.llnl.gov")
    said = drawn(lambda columns: top_page(detail, columns, "http"), 120)
    assert "http.time" in said
    assert "host.load.1m" not in said
