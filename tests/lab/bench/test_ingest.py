"""The comparison runs from its first to its last reader on a live broker, and leaves nothing."""

import json
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nm_agents.cli.app import app
from nm_broker.program import Program


@pytest.mark.broker
def test_every_reader_reads_everything_and_nothing_stays(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shown = CliRunner().invoke(
        app, ["bench", "ingest", "--messages", "2000", "--rounds", "1", "--json"]
    )
    assert shown.exit_code == 0, shown.output
    streams = json.loads(shown.stdout)
    assert [stream["stream"] for stream in streams] == ["heartbeat", "metrics"]
    for stream in streams:
        assert all(
            rate > 0 for rates in stream["messages_per_cpu_second"].values() for rate in rates
        )
    assert not list(tmp_path.iterdir())
