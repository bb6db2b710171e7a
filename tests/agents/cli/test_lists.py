"""How a list is asked for: its form, its order, and only what is not well."""

import json

import pytest

from nm_agents.cli.screen.listing import natural

from .conftest import SN, Run


@pytest.mark.parametrize("words", [("-o", "json"), ("-ojson",), ("--format", "json")])
def test_o_json_is_json(run: Run, words: tuple[str, ...]) -> None:
    for command in (("status",), ("alerts", "list")):
        plain = run(*command, "--json")
        assert plain.exit_code == 0
        assert run(*command, *words).stdout == plain.stdout


def test_an_error_is_json_too_for_who_asked_with_o(run: Run) -> None:
    failed = run("status", "-o", "json", "--config", "none.toml")
    assert failed.exit_code == 2
    assert "none.toml" in json.loads(failed.stdout)["error"]


def test_names_alone_are_for_other_programs(run: Run) -> None:
    said = run("status", "-o", "name").stdout.splitlines()
    assert len(said) == 7
    assert said[0] == "data.dkrz.de"
    assert run("alerts", "list", "-o", "name").stdout == "a2\na1\n"


def test_only_what_is_not_well_is_listed_and_all_is_counted(run: Run) -> None:
    said = run("status", "--unhealthy").stdout
    rows = said.split("MEMBERS")[1]
    assert "data.dkrz.de" in rows
    assert "esgf-node2.llnl.gov" in rows, "its check is critical"
    assert "esgf-node1.llnl.gov" not in rows
    assert "2 alive" in rows
    assert SN[0] not in said.split("SUPERNODES")[1].split("LINKS")[0]
    assert "1 of 3 voters can vote" in said
    found = json.loads(run("status", "--unhealthy", "--json").stdout)
    assert "esgf-node1.llnl.gov" not in json.dumps(found["members"])
    whole = json.loads(run("status", "--json").stdout)
    for name in ("ledger", "counts", "verdict", "alerts"):
        assert found[name] == whole[name]


@pytest.mark.parametrize(
    ("column", "first"),
    [
        ("-disk", "esgf-node2.llnl.gov"),
        ("-heard", "old.ipsl.fr"),
        ("member", "data.dkrz.de"),
        ("-member", "old.ipsl.fr"),
        ("-load", "esgf-node2.llnl.gov"),
        ("health", "data.dkrz.de"),
    ],
)
def test_members_are_sorted_by_a_column(run: Run, column: str, first: str) -> None:
    assert run("status", "-o", "name", f"--sort={column}").stdout.splitlines()[0] == first


def test_an_unknown_column_is_a_mistake_that_names_the_others(run: Run) -> None:
    said = run("status", "--sort", "colour")
    assert said.exit_code == 2
    assert "there is no column 'colour'" in said.stderr
    assert "member, health, checks, disk" in said.stderr


def test_numbers_are_sorted_as_numbers() -> None:
    assert sorted(["10", "9", "b", "a", "-"], key=natural) == ["9", "10", "-", "a", "b"]
