"""`nm-bus member ...` and `nm-bus supernode ...`, beside the services of these names."""

import json

import pytest

from nm_bus.client import Client
from nm_bus.messages import BrokerState, Health, Overview, Standing, Supernode, SupernodeView
from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import NODES, Asking, Run

NODE = "n1.llnl.gov"


@pytest.fixture
def joined(ask: Asking) -> None:
    ask("join", f"member/{NODE}", {"weight": 2})


def state_of(federation: FakeSupernodes, node: str = NODE) -> str:
    value = federation[0].state.value(f"member/{node}")
    assert value is not None
    return str(value["state"])


@pytest.mark.usefixtures("joined")
def test_members_are_listed_with_their_state_and_home(run: Run) -> None:
    said = run("member", "list").stdout
    assert NODE in said
    assert "joined" in said
    (entry,) = json.loads(run("member", "list", "--json").stdout)
    assert entry["value"]["weight"] == 2


def test_a_project_without_members_says_so(run: Run) -> None:
    assert run("member", "list").stdout == "There is no member.\n"


@pytest.mark.usefixtures("joined")
def test_a_member_is_shown_whatever_its_letters(run: Run) -> None:
    assert "weight" in run("member", "show", NODE.upper()).stdout


def test_one_that_is_no_member_is_told(run: Run) -> None:
    said = run("member", "show", "who.example.org")
    assert (said.exit_code, said.stderr) == (
        2,
        "nm-bus: the ledger holds no member/who.example.org\n",
    )


@pytest.mark.usefixtures("joined")
@pytest.mark.parametrize(
    ("commands", "state"),
    [
        (["maintain"], "maintenance"),
        (["maintain", "resume"], "joined"),
        (["leave"], "left"),
        (["remove"], "left"),
        (["remove", "restore"], "joined"),
    ],
)
def test_a_members_state_is_changed_once_it_is_agreed(
    run: Run, federation: FakeSupernodes, commands: list[str], state: str
) -> None:
    for command in commands:
        said = run("member", command, NODE, *(["--yes"] if command == "remove" else []))
        assert said.exit_code == 0
        assert f"member/{NODE}: agreed at revision" in said.stdout
    assert state_of(federation) == state


def test_a_refusal_is_one_sentence_and_exit_code_2(run: Run) -> None:
    said = run("member", "leave", NODE)
    assert (said.exit_code, said.stderr) == (2, f"nm-bus: {NODE} is no member\n")


@pytest.mark.usefixtures("joined")
def test_accepted_is_no_success(run: Run, federation: FakeSupernodes) -> None:
    for node in federation.by_node.values():
        node.cut = True
    said = run("member", "leave", NODE, "--json", "--timeout", "0.5")
    assert said.exit_code == 3
    assert json.loads(said.stdout)["state"] == "accepted"


def test_supernodes_are_listed_with_how_far_they_are(run: Run, federation: FakeSupernodes) -> None:
    federation[2].kill()
    said = run("supernode", "list")
    assert said.exit_code == 0
    assert [line.split()[0] for line in said.stdout.splitlines() if "voter" in line] == list(NODES)
    assert said.stdout.count("not heard") == 1
    assert len(json.loads(run("supernode", "list", "--json").stdout)) == 3


def test_who_runs_as_somebody_else_than_was_admitted_is_told(run: Run) -> None:
    assert run("supernode", "rejoin", NODES[0], "--incarnation", "i2").exit_code == 0
    assert "runs as genesis, not admitted" in run("supernode", "list").stdout


def test_a_supernode_comes_as_a_standby_and_is_given_a_vote(
    run: Run, federation: FakeSupernodes
) -> None:
    new = "sn4.example.org"
    assert run("supernode", "add", new, "--incarnation", "i1", "--weight", "2").exit_code == 0
    assert federation[0].state.standbys == {f"{new}#i1"}
    assert run("supernode", "promote", new).exit_code == 0
    assert f"{new}#i1" in federation[0].state.voters
    assert run("supernode", "demote", new, "--yes").exit_code == 0
    assert run("supernode", "rejoin", new, "--incarnation", "i2").exit_code == 0
    assert federation[0].state.standbys == {f"{new}#i2"}
    value = federation[0].state.value(f"supernode/{new}")
    assert value is not None
    assert value["weight"] == 2
    assert run("supernode", "remove", new, "--yes").exit_code == 0
    assert federation[0].state.get(f"supernode/{new}") is None


def test_the_last_voter_is_not_dismissed(run: Run) -> None:
    for node in NODES[1:]:
        assert run("supernode", "remove", node, "--yes").exit_code == 0
    said = run("supernode", "remove", NODES[0], "--yes")
    assert said.exit_code == 2
    assert "is the last voter" in said.stderr


@pytest.mark.parametrize("command", ["demote", "remove"])
def test_a_vote_is_not_taken_before_it_is_said_what_remains(
    run: Run, federation: FakeSupernodes, command: str
) -> None:
    said = run("supernode", command, NODES[2])
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    for told in ("2 of 3 voters remain", "--yes"):
        assert told in said.stderr
    looked = run("supernode", command, NODES[2], "--dry-run")
    assert (looked.exit_code, "2 of 3 voters remain" in looked.stdout) == (0, True)
    assert len(federation[0].state.voters) == 3


def test_at_a_terminal_a_member_is_removed_once_that_is_confirmed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("member", "restore", NODE).exit_code == 0
    assert run("member", "remove", NODE).exit_code == 2
    monkeypatch.setattr("nm_agents.cli.confirming.is_at_a_terminal", lambda: True)
    assert run("member", "remove", NODE, input="n\n").exit_code == 1
    said = run("member", "remove", NODE, input="y\n")
    assert (said.exit_code, "agreed at" in said.stdout) == (0, True)


def test_one_that_the_settings_do_not_name_is_said_to_be_not_asked(run: Run) -> None:
    assert run("supernode", "add", "sn9.org", "--incarnation", "i1").exit_code == 0
    assert "not asked" in run("supernode", "list").stdout


@pytest.mark.parametrize("service", ["member", "supernode"])
def test_the_service_is_there_as_before(run: Run, service: str) -> None:
    assert "--config" in run(service, "run", "--help").stdout


def views(*able: str) -> Overview:
    """What a supernode knows of three, of which these vote."""
    supernodes = []
    for node in NODES:
        ledger = Standing(node, "genesis", 1, 0, "", 0, "", (), ())
        state = Supernode(node, "life", 1, 0.0, 0.0, "x", BrokerState("up"), ledger=ledger)
        health = Health.ALIVE if node in able else Health.UNKNOWN
        supernodes.append(SupernodeView(node, health, "", 0.0, state, ()))
    return Overview(NODES[0], 0.0, 0, 1, (), tuple(supernodes))


@pytest.mark.parametrize(
    ("able", "said"),
    [
        (NODES, []),
        ((NODES[0], NODES[2]), [f"{NODES[1]} cannot vote now", "nothing will be agreed"]),
    ],
)
def test_what_remains_without_a_vote_tells_who_cannot_vote_now(
    run: Run, monkeypatch: pytest.MonkeyPatch, able: tuple[str, ...], said: list[str]
) -> None:
    monkeypatch.setattr(Client, "status", lambda _client: views(*able))
    told = run("supernode", "demote", NODES[2], "--dry-run").stdout
    assert all(each in told for each in said)
    assert ("cannot vote now" in told) is bool(said)


@pytest.mark.parametrize("command", ["member", "supernode", "role", "record", "lock"])
def test_every_list_of_the_ledger_has_the_same_forms(run: Run, command: str) -> None:
    listed = json.loads(run(command, "list", "--json").stdout)
    assert json.loads(run(command, "list", "-o", "json").stdout) == listed
    names = run(command, "list", "-o", "name")
    assert names.exit_code == 0
    assert len(names.stdout.splitlines()) == len(listed)
    assert run(command, "list", "-o", "wide").exit_code == 0


def test_only_the_supernodes_that_are_not_well_are_listed(run: Run) -> None:
    run("supernode", "add", "sn9.example.org", "--incarnation", "i1")
    said = run("supernode", "list", "--unhealthy", "-o", "name")
    assert said.stdout == "sn9.example.org\n"


def test_supernodes_are_sorted_by_a_column(run: Run) -> None:
    names = run("supernode", "list", "-o", "name", "--sort=-node").stdout.splitlines()
    assert names == sorted(NODES, reverse=True)
