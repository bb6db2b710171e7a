"""`nm-bus simulate ledger`: what it tells, and how it ends."""

import json

import pytest
from typer.testing import CliRunner

from nm_agents.exits import Exit
from nm_lab.simulate.commands import simulate


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(simulate, ["ledger", *arguments])
    return result.exit_code, result.output


def test_runs_that_break_no_rule_end_well() -> None:
    code, output = _run("--kind", "plain", "--seeds", "20", "--jobs", "1")

    assert code == Exit.OK
    assert "plain: 20 runs" in output
    assert "no rule broke" in output


def test_a_broken_rule_is_told_with_the_command_that_shows_it_again() -> None:
    code, output = _run("--planted", "counts-messages", "--seeds", "100", "--jobs", "1")

    assert code == Exit.NEGATIVE
    assert "broken: asked first" in output
    shown = output.partition("see it: nm-bus simulate ledger ")[2].split()
    again, trace = _run(*shown)
    assert again == Exit.NEGATIVE
    assert "prepare slot 1" in trace
    assert "broken: asked first" in trace


def test_json_has_every_kind_and_its_failure() -> None:
    _, output = _run("--json", "--kind", "voters", "--seeds", "5", "--jobs", "1")

    told = json.loads(output[output.index("{") :])
    assert told["kinds"]["voters"]["runs"] == 5
    assert told["kinds"]["voters"]["failure"] is None


@pytest.mark.parametrize("given", [("--kind", "soup"), ("--planted", "mine")])
def test_what_there_is_not_is_refused_with_what_there_is(given: tuple[str, str]) -> None:
    code, output = _run(*given)

    assert code == Exit.CONFIG
    assert "there are" in output
