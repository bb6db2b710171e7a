"""`nm-bus role ...`."""

import json

import pytest

from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import ADMIN, Run

INDEX = "index.ceda.ac.uk"


def rights(run: Run) -> dict[str, object]:
    told = json.loads(run("role", "list", "--json").stdout)
    return {entry["key"].removeprefix("role/"): entry["value"] for entry in told}


def test_the_list_says_who_may_do_what(run: Run) -> None:
    run("role", "grant", INDEX, "publisher", "search")
    run("role", "grant", INDEX, "publisher", "dash")
    said = run("role", "list").stdout
    assert f"{ADMIN}" in said
    assert "administrator" in said
    assert "publisher of dash, search" in said


def test_a_right_is_granted_beside_the_others_and_revoked_alone(run: Run) -> None:
    assert run("role", "grant", INDEX, "publisher", "search").exit_code == 0
    assert run("role", "grant", INDEX, "administrator").exit_code == 0
    assert rights(run)[INDEX] == {"publisher": ["search"], "administrator": True}
    assert run("role", "revoke", INDEX, "administrator", "--yes").exit_code == 0
    assert rights(run)[INDEX] == {"publisher": ["search"]}
    assert run("role", "revoke", INDEX, "publisher", "search").exit_code == 0
    assert INDEX not in rights(run)


def test_what_is_so_already_is_not_proposed(run: Run, federation: FakeSupernodes) -> None:
    run("role", "grant", INDEX, "publisher", "search")
    proposed = len(federation.decided)
    said = run("role", "grant", INDEX, "publisher", "search")
    assert said.stdout == f"role/{INDEX}: is so already, since revision 1\n"
    assert run("role", "revoke", INDEX, "publisher", "dash", "--json").exit_code == 0
    assert len(federation.decided) == proposed


def test_the_last_administrator_stays(run: Run, federation: FakeSupernodes) -> None:
    said = run("role", "revoke", ADMIN, "administrator", "--yes")
    assert said.exit_code == 2
    assert "is the last administrator: grant another the right first" in said.stderr
    assert federation.decided == []


def test_an_administrators_right_is_not_taken_without_a_question(
    run: Run, federation: FakeSupernodes
) -> None:
    run("role", "grant", INDEX, "administrator")
    proposed = len(federation.decided)
    said = run("role", "revoke", INDEX, "administrator")
    assert said.exit_code == 2
    assert "give --yes" in said.stderr
    said = run("role", "revoke", INDEX, "administrator", "--dry-run")
    assert said.stdout == (f"{INDEX} is an administrator; left are {ADMIN}. Nothing was changed.\n")
    assert len(federation.decided) == proposed


@pytest.mark.parametrize(
    ("words", "flaw"),
    [
        ((INDEX, "publisher"), "needs a COMPONENT"),
        ((INDEX, "administrator", "search"), "takes none"),
        ((INDEX, "publisher", "the search"), "is no component"),
        (("no one", "administrator"), "is no principal"),
        ((INDEX, "god"), "administrator"),
    ],
)
def test_what_is_no_right_is_a_mistake_in_the_command(
    run: Run, federation: FakeSupernodes, words: tuple[str, ...], flaw: str
) -> None:
    said = run("role", "grant", *words)
    assert said.exit_code == 2
    assert flaw in " ".join(said.stderr.replace("│", " ").split())
    assert federation.decided == []


def test_who_has_no_role_has_none_to_lose(run: Run) -> None:
    said = run("role", "revoke", INDEX, "publisher", "search")
    assert said.exit_code == 2
    assert "has no role; see `nm-bus role list`" in said.stderr


def test_a_right_that_the_ledger_began_with_is_changed_and_revoked(run: Run) -> None:
    assert run("role", "grant", "pub", "publisher", "dash").exit_code == 0
    assert run("role", "revoke", "pub", "publisher", "search").exit_code == 0
    assert rights(run)["pub"] == {"publisher": ["dash"]}


def test_the_only_right_that_the_ledger_began_with_is_revoked(run: Run) -> None:
    assert run("role", "revoke", "pub", "publisher", "search").exit_code == 0
    assert "pub" not in rights(run)
