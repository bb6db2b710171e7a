import json
from pathlib import Path

from nm_bus.errors import ConnectionLostError
from nm_bus.messages import Answer, Ask, Message

from .conftest import FakeBus, Run


def test_a_check_that_is_not_ok_is_a_negative_result(run: Run, bus: FakeBus) -> None:
    said = run("ask", "ESGF-node1.llnl.gov", "check", "disk")
    assert said.exit_code == 1
    assert "critical" in said.stdout
    assert "\x1b" not in said.stdout
    assert isinstance(bus.asked[-1], Ask)
    assert (bus.asked[-1].node, bus.asked[-1].check) == ("esgf-node1.llnl.gov", "disk")


def test_an_answer_is_names_and_values(run: Run) -> None:
    said = run("ask", "esgf-node1.llnl.gov", "metrics")
    assert said.exit_code == 0
    assert said.stdout.splitlines() == ["agent                0.1.0", "values host.load.1m  0.25"]


def test_json_is_the_whole_answer(run: Run) -> None:
    assert (
        json.loads(run("ask", "esgf-node1.llnl.gov", "status", "--json").stdout)["agent"] == "0.1.0"
    )


def test_a_check_without_a_name_is_a_mistake_in_the_command(run: Run, bus: FakeBus) -> None:
    assert run("ask", "n", "check").exit_code == 2
    assert run("ask", "n", "status", "disk").exit_code == 2
    assert bus.asked == []


def test_the_members_home_is_asked_when_the_settings_know_it(
    run: Run, bus: FakeBus, settings: Path
) -> None:
    run("ask", "esgf-node1.llnl.gov", "status")
    assert bus.directed == ["sn1.llnl.gov", "sn1.llnl.gov"]
    settings.write_text(settings.read_text().replace('"sn1.llnl.gov"', '"sn9.llnl.gov"'))
    bus.directed.clear()
    run("ask", "esgf-node1.llnl.gov", "status")
    assert "sn1.llnl.gov" not in bus.directed


def test_a_member_nobody_knows_is_not_asked(run: Run, bus: FakeBus) -> None:
    assert run("ask", "nobody.example.org", "status").exit_code == 2
    assert not any(isinstance(message, Ask) for message in bus.asked)


def test_a_home_that_does_not_answer_is_named_as_the_home(run: Run, bus: FakeBus) -> None:
    answers = bus.answers

    def home_is_away(message: Message) -> Answer:
        if isinstance(message, Ask):
            raise ConnectionLostError("sn1.llnl.gov:5671 refuses connections")
        return answers(message)

    bus.answers = home_is_away
    said = run("ask", "esgf-node1.llnl.gov", "status")
    assert said.exit_code == 3
    assert "sn1.llnl.gov, the home of esgf-node1.llnl.gov, does not answer: " in said.stderr
