"""`nm-bus record ...`."""

import json

import pytest

from .conftest import Run

KEY = ("endpoint", "n1.llnl.gov.web")
VALUE = '{"url": "https://n1.llnl.gov/"}'


def test_a_record_is_set_shown_listed_and_deleted(run: Run) -> None:
    assert run("record", "set", *KEY, VALUE).exit_code == 0
    assert "https://n1.llnl.gov/" in run("record", "show", *KEY).stdout
    (entry,) = json.loads(run("record", "list", "--json").stdout)
    assert entry["key"] == "record/endpoint/n1.llnl.gov.web"
    assert "n1.llnl.gov.web" in run("record", "list", "endpoint").stdout
    assert run("record", "list", "software").stdout == "There is no record.\n"
    assert run("record", "delete", *KEY).exit_code == 0
    assert run("record", "show", *KEY).exit_code == 2


def test_a_record_is_read_from_standard_input(run: Run) -> None:
    assert run("record", "set", *KEY, "-", input=VALUE).exit_code == 0


@pytest.mark.parametrize("value", ["no json", "[1]", "1"])
def test_what_is_no_json_object_is_a_mistake_in_the_command(run: Run, value: str) -> None:
    said = run("record", "set", *KEY, value)
    assert said.exit_code == 2
    assert "VALUE" in said.stderr


def test_a_record_that_fails_its_schema_is_refused(run: Run) -> None:
    said = run("record", "set", *KEY, "{}")
    assert said.exit_code == 2
    assert said.stderr.count("\n") == 1


def test_a_record_that_was_changed_meanwhile_is_not_written_over(run: Run) -> None:
    run("record", "set", *KEY, VALUE)
    said = run("record", "set", *KEY, VALUE, "--if-revision", "0")
    assert said.exit_code == 2
    assert "look again" in said.stderr
