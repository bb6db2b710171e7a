import json

from nm_bus.messages import Ask


def test_a_check_that_is_not_ok_is_a_negative_result(run, bus):
    said = run("ask", "Data.dkrz.de", "check", "disk")
    assert said.exit_code == 1
    assert "critical" in said.stdout
    assert "\x1b" not in said.stdout
    assert isinstance(bus.asked[0], Ask)
    assert (bus.asked[0].node, bus.asked[0].check) == ("data.dkrz.de", "disk")


def test_an_answer_is_names_and_values(run):
    said = run("ask", "data.dkrz.de", "metrics")
    assert said.exit_code == 0
    assert said.stdout.splitlines() == ["agent                0.1.0", "values host.load.1m  0.25"]


def test_json_is_the_whole_answer(run):
    assert json.loads(run("ask", "n", "status", "--json").stdout)["agent"] == "0.1.0"


def test_a_check_without_a_name_is_a_mistake_in_the_command(run, bus):
    assert run("ask", "n", "check").exit_code == 2
    assert run("ask", "n", "status", "disk").exit_code == 2
    assert bus.asked == []
