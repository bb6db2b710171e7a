"""`nm-bus outcome ID`."""

import json

from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import ADMIN, NODES, Run

GRANT = ("role", "grant", "index.example", "publisher", "dash")


def accepted(run: Run, federation: FakeSupernodes) -> str:
    """The id of a change that is accepted only."""
    for node in NODES:
        federation.by_node[node].cut = True
    said = run(*GRANT, "--timeout", "0.3", "--json")
    assert said.exit_code == 3
    return str(json.loads(said.stdout)["id"])


def test_what_is_accepted_only_names_the_command_that_tells_more(
    run: Run, federation: FakeSupernodes
) -> None:
    accepted(run, federation)
    said = run(*GRANT, "--timeout", "0.3")
    assert f"see `nm-bus outcome {ADMIN}/" in said.stdout


def test_an_outcome_is_told_once_there_is_one(run: Run, federation: FakeSupernodes) -> None:
    change = accepted(run, federation)
    for node in NODES:
        federation.heal(node)
    said = run("outcome", change, "--wait", "60")
    assert (said.exit_code, said.stdout) == (0, f"{change}: agreed at revision 1\n")
    assert json.loads(run("outcome", change, "--json").stdout)["revision"] == 1


def test_a_change_that_nobody_knows_is_not_called_refused(run: Run) -> None:
    said = run("outcome", f"{ADMIN}/0/1")
    assert said.exit_code == 3
    assert "no supernode that answers knows it" in said.stdout
    assert json.loads(run("outcome", f"{ADMIN}/0/1", "--json").stdout)["state"] == "unknown"


def test_one_supernode_that_knows_it_is_enough(run: Run, federation: FakeSupernodes) -> None:
    federation[0].cut = True
    agreed = json.loads(run(*GRANT, "--json").stdout)
    assert run("outcome", agreed["id"]).exit_code == 0
