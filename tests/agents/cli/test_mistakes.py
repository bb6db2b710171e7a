"""How a command's failure is worded."""

import json

import pytest

from .conftest import Run


@pytest.mark.parametrize(
    ("words", "said", "unsaid"),
    [
        (("log", "--since", "abc"), "it must be a valid integer", "unable to parse"),
        (("log", "--limit", "0"), "it must be greater than or equal to 1", "Input should"),
        (("tail", "heartbat"), "'heartbat' is not one of 'heartbeat'", "Value error"),
    ],
)
def test_a_wrong_value_is_said_plainly(
    run: Run, words: tuple[str, ...], said: str, unsaid: str
) -> None:
    failed = run(*words)
    assert failed.exit_code == 2
    assert said in failed.stderr
    assert unsaid not in failed.stderr


def test_an_error_is_json_for_who_asked_for_json(run: Run) -> None:
    failed = run("top", "nobody.example.org", "--json")
    assert failed.exit_code == 2
    assert failed.stderr.startswith("nm-bus: n9.example.org is no known node")
    told = json.loads(failed.stdout)
    assert (told["code"], told["exit"]) == ("unknown-node", 2)
    assert told["error"].startswith("n9.example.org is no known node")


def test_an_error_is_text_alone_for_everybody_else(run: Run) -> None:
    assert run("top", "nobody.example.org").stdout == ""
    assert run("lock", "show", "x", "--", "--json").stdout == ""
