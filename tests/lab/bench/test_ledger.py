"""What supernodes that agree are judged by, and that all phases run and leave nothing."""

import json
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nm_agents.cli.app import app
from nm_broker.program import Program
from nm_bus.settings import Timing
from nm_lab.bench.agreeing import AgreementFigures, DelaySeries, Pause, Phase, percentile
from nm_lab.bench.ledger import limit
from nm_lab.bench.tables import agreeing_json


def phase(delay: float, agreed: float) -> Phase:
    times = [agreed] * 3
    return Phase("links", delay, [DelaySeries("here", "a", [0.1] * 3, times, times)], 100.0)


def missed(*phases: Phase, pause: float = 0.0) -> list[str]:
    found = AgreementFigures(3, 100, list(phases), [Pause("one", pause, 0.5)])
    return [figure.name for figure in found.measured() if not figure.reached]


def test_a_change_is_measured_in_halves_of_the_raw_round_trip() -> None:
    assert phase(0.05, agreed=0.2).series[0].delays == pytest.approx(4.0)


def test_only_wide_links_have_an_aim() -> None:
    assert missed(phase(0.0, agreed=0.9)) == []
    assert missed(phase(0.05, agreed=0.24)) == []
    assert missed(phase(0.05, agreed=0.26)) == ["put at here to agreed, links"]


def test_a_death_that_holds_up_the_others_for_too_long_misses_its_aim() -> None:
    assert missed(pause=0.5) == []
    assert missed(pause=0.6) == ["pause when one dies"]


def test_the_last_author_s_death_may_take_the_suspicion_and_three_delays() -> None:
    assert limit(Timing(author_limit=2.0, agreement_delay=0.5)) == 3.5


def test_a_percentile_lies_within_what_was_measured() -> None:
    assert percentile([3.0], 99) == 3.0
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert 2.9 < percentile([1.0, 2.0, 3.0], 99) <= 3.0


def test_programs_get_percentiles_rates_and_verdicts() -> None:
    told = agreeing_json(
        AgreementFigures(3, 100, [phase(0.05, agreed=0.2)], [Pause("one", 0.1, 0.5)])
    )
    (place,) = told["phases"][0]["put_at"]
    assert place["agreed"] == {"p50": 0.2, "p99": 0.2}
    assert place["one_way_delays"] == 4.0
    assert [figure["reached"] for figure in told["figures"]] == [True, True]


@pytest.mark.broker
@pytest.mark.long
def test_all_phases_run_and_nothing_stays(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    words = ["--members", "6", "--changes", "3", "--seconds", "3", "--deaths", "1", "--json"]
    shown = CliRunner().invoke(app, ["bench", "ledger", *words])
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert [phase["phase"] for phase in told["phases"]] == [
        "links up",
        "one supernode dead",
        "links of 50 ms",
    ]
    assert all(phase["changes_per_second"] > 0 for phase in told["phases"])
    assert not list(tmp_path.iterdir())
